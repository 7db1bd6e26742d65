package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/item"
)

// A glimpse at items that are put once shows all of them or none; and all, if their client knew before.
func TestGlimpse(t *testing.T) {
	put := func(value string) item.Item {
		return item.NewItem(map[string]item.Value{"k": item.String("k"), "v": item.String(value)})
	}
	for name, tt := range map[string]struct {
		saw     []item.Item
		outcome Outcome
		ret     int64
		want    string
	}{
		"all":                        {[]item.Item{put("v"), put("v")}, Unknown, 0, ""},
		"nothing":                    {[]item.Item{nil, nil}, Unknown, 0, ""},
		"a part":                     {[]item.Item{nil, put("v")}, Unknown, 0, "shows a part"},
		"something else":             {[]item.Item{put("w"), put("v")}, Unknown, 0, "is shown as"},
		"nothing, while it is put":   {[]item.Item{nil, nil}, Done, 6, ""},
		"nothing, when it was known": {[]item.Item{nil, nil}, Done, 4, "shows nothing of"},
	} {
		r := newRun(ledgerPlan(1, 1, time.Second), Options{})
		keys := onceKeys("v", 2)
		r.ledger.requests = []*tx{{run: r, op: &Transaction{Do: "once", Keys: keys, Value: "v"}, outcome: tt.outcome, ret: tt.ret}}
		x := &tx{run: r, op: &Transaction{Do: glimpse, Keys: keys, Value: "v"}, call: 5, saw: tt.saw}
		if err := x.look(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		r.world.Close()
	}
}
