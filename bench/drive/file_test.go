package drive

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	w, err := Parse("w.json", []byte(`// Reads.
{
  "name": "reads",
  // mostly
  "operations": {"get": 95, "put": 5},
  "pace": {"rate": 100},
  "length": "1.5s"
}`))
	if err != nil {
		t.Fatal(err)
	}
	if w.Keys.Count != 100_000 || w.Values.Size != 100 || w.Pace.Arrivals != Poisson || time.Duration(w.Warmup) != 300*time.Millisecond {
		t.Errorf("%+v", w)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse("again", text); err != nil || !reflect.DeepEqual(again, w) {
		t.Errorf("written and read again: %+v, %v; want %+v", again, err, w)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"name":"x"}`, "w.json: operations are missing"},
		{"{\n\"name\":\"x\",\n\"rate\":3}", `w.json:3: unknown field "rate"`},
		{"{\n\"name\":3}", "w.json:2: name cannot be number"},
		{`{"name":"x","operations":{"eat":1}}`, `unknown "eat"`},
		{`{"name":"x","operations":{"get":-1}}`, "share"},
		{`{"name":"x","operations":{"get":1},"length":"9"}`, "missing unit"},
		{`{"name":"x","operations":{"get":1},"keys":{"count":1}}`, "keys.count"},
		{`{"name":"x","operations":{"get":1},"keys":{"choose":"trace"}}`, "keys.trace"},
		{`{"name":"x","operations":{"get":1},"values":{"size":3}}`, "values.size"},
		{`{"name":"x","operations":{"get":1},"values":{"min":30,"max":20}}`, "min and max"},
		{`{"name":"x","operations":{"get":1},"pace":{"rate":1,"peak":{"percentile":99,"below":"1ms"}}}`, "no rate"},
		{`{"name":"x","operations":{"get":1}} {}`, "follows"},
		{``, "EOF"},
	} {
		_, err := Parse("w.json", []byte(c.text))
		var file *FileError
		if !errors.As(err, &file) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s\ngot %v, want %q", c.text, err, c.want)
		}
	}
}

// Whatever is read is read again as the same, and can be planned.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name":"x","operations":{"get":1},"values":{"min":10,"max":20},"pace":{"peak":{"percentile":99,"below":"1ms"}}}`))
	f.Add([]byte("// c\n{\"name\":\"x\",\"operations\":{\"put\":1},\"keys\":{\"choose\":\"hotspot\",\"count\":2}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := Parse("f", text)
		if err != nil {
			return
		}
		out, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f", out)
		if err != nil || !reflect.DeepEqual(w, again) {
			t.Fatalf("%s: %v\n%+v\n%+v", out, err, w, again)
		}
		if w.Keys.Count > 10_000 || w.Keys.Choose == FromTrace {
			return
		}
		p, r, op := newPlan(w), rand(1), Op{}
		for range 100 {
			if one(p, &r, &op); op.Kind != Insert && op.Key >= uint64(w.Keys.Count) && w.Keys.Choose != Latest {
				t.Fatalf("key %d of %d", op.Key, w.Keys.Count)
			}
		}
	})
}
