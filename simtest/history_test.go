package simtest

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/statordb/stator/server"
	"github.com/statordb/stator/sim"
)

// A story is a history told by hand. Each line is one event:
//
//	> id Operation body        a call
//	< id status answer         its answer; "reset" and "refused" instead of a status
func story(t *testing.T, text string) *history {
	t.Helper()
	h := newHistory()
	who := server.Caller{Account: "000000000001", Region: region}
	calls, requests := map[string]*noted{}, map[string]*request{}
	for line := range strings.Lines(`
> t CreateTable {"TableName":"t","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}
< t 200 {}
` + text) {
		parts := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(parts) < 3 {
			continue
		}
		id := parts[1]
		if parts[0] == ">" {
			r := &request{who: who, operation: parts[2], body: []byte(parts[3])}
			requests[id], calls[id] = r, h.begin(r)
			continue
		}
		r := requests[id]
		switch parts[2] {
		case "reset":
			r.err = sim.ErrReset
		case "refused":
			r.err = sim.ErrRefused
		case "200":
			r.status = http.StatusOK
		case "400":
			r.status = http.StatusBadRequest
		case "500":
			r.status = http.StatusInternalServerError
		}
		if len(parts) == 4 {
			r.answer = []byte(parts[3])
		}
		h.end(calls[id], r)
	}
	return h
}

const (
	read     = `GetItem {"TableName":"t","ConsistentRead":true,"Key":{"p":{"S":"x"}}}`
	put1     = `PutItem {"TableName":"t","Item":{"p":{"S":"x"},"v":{"N":"1"}}}`
	put2     = `PutItem {"TableName":"t","Item":{"p":{"S":"x"},"v":{"N":"2"}}}`
	add      = `UpdateItem {"TableName":"t","Key":{"p":{"S":"x"}},"UpdateExpression":"ADD v :n","ExpressionAttributeValues":{":n":{"N":"1"}},"ReturnValues":"UPDATED_NEW"}`
	is1      = `{"Item":{"p":{"S":"x"},"v":{"N":"1"}}}`
	is2      = `{"Item":{"p":{"S":"x"},"v":{"N":"2"}}}`
	once     = `PutItem {"TableName":"t","Item":{"p":{"S":"x"},"v":{"N":"1"}},"ConditionExpression":"attribute_not_exists(p)"}`
	both     = `TransactWriteItems {"ClientRequestToken":"k","TransactItems":[{"Update":{"TableName":"t","Key":{"p":{"S":"x"}},"UpdateExpression":"ADD v :n","ExpressionAttributeValues":{":n":{"N":"1"}}}},{"Put":{"TableName":"t","Item":{"p":{"S":"y"}}}}]}`
	alone    = `TransactWriteItems {"ClientRequestToken":"k","TransactItems":[{"Put":{"TableName":"t","Item":{"p":{"S":"x"},"v":{"N":"1"}}}}]}`
	mismatch = `{"__type":"com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"}`
	no       = `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}`
)

func TestHistories(t *testing.T) {
	for _, c := range []struct {
		name, text string
		fine       bool
	}{
		{"read what was written", "> a " + put1 + "\n< a 200 {}\n> b " + read + "\n< b 200 " + is1, true},
		{"stale read", "> a " + put1 + "\n< a 200 {}\n> b " + put2 + "\n< b 200 {}\n> c " + read + "\n< c 200 " + is1, false},
		{"lost write", "> a " + put1 + "\n< a 200 {}\n> c " + read + "\n< c 200 {}", false},
		{"refused connection wrote", "> a " + put1 + "\n< a refused\n> c " + read + "\n< c 200 " + is1, false},
		{"reset connection wrote", "> a " + put1 + "\n< a reset\n> c " + read + "\n< c 200 " + is1, true},
		{"reset connection did not write", "> a " + put1 + "\n< a reset\n> c " + read + "\n< c 200 {}", true},
		{"error wrote late", "> a " + put1 + "\n< a 500 {}\n> c " + read + "\n< c 200 {}\n> d " + read + "\n< d 200 " + is1, true},
		{"flicker", "> a " + put1 + "\n< a 500 {}\n> c " + read + "\n< c 200 " + is1 + "\n> d " + read + "\n< d 200 {}", false},
		{"two winners", "> a " + once + "\n> b " + once + "\n< a 200 {}\n< b 200 {}", false},
		{"one winner", "> a " + once + "\n> b " + once + "\n< a 200 {}\n< b 400 " + no, true},
		{"no winner", "> a " + once + "\n> b " + once + "\n< a 400 " + no + "\n< b 400 " + no, false},
		{"counted twice", "> a " + add + "\n< a 200 {\"Attributes\":{\"v\":{\"N\":\"2\"}}}", false},
		{"counted once", "> a " + add + "\n< a 200 {\"Attributes\":{\"v\":{\"N\":\"1\"}}}\n> c " + read + "\n< c 200 " + is1, true},
		{"concurrent", "> a " + put1 + "\n> b " + put2 + "\n> c " + read + "\n< c 200 " + is2 + "\n< a 200 {}\n< b 200 {}\n> d " + read + "\n< d 200 " + is1, true},
		{"transaction repeated under its token", "> a " + both + "\n< a 500 {}\n> b " + both + "\n< b 200 {}\n> c " + read + "\n< c 200 " + is1, true},
		{"transaction done twice", "> a " + both + "\n< a 500 {}\n> b " + both + "\n< b 200 {}\n> c " + read + "\n< c 200 " + is2, false},
		{"transaction repeated after a refused connection", "> a " + both + "\n< a refused\n> b " + both + "\n< b 200 {}\n> c " + read + "\n< c 200 " + is1, true},
		{"transaction not done after a refused connection", "> a " + both + "\n< a refused\n> b " + both + "\n< b refused\n> c " + read + "\n< c 200 " + is1, false},
		{"transaction in doubt, connection refused", "> a " + both + "\n< a 500 {}\n> b " + both + "\n< b refused\n> c " + read + "\n< c 200 " + is1, true},
		{"transaction repeated while under way", "> a " + both + "\n> b " + both + "\n< b refused\n> c " + read + "\n< c 200 " + is1 + "\n< a 200 {}", true},
		{"token with other parameters is refused", "> a " + both + "\n< a 200 {}\n> b " + alone + "\n< b 400 " + mismatch + "\n> c " + read + "\n< c 200 " + is1, true},
		{"token with other parameters after a refusal", "> a " + both + "\n< a 400 {}\n> b " + alone + "\n< b 200 {}\n> c " + read + "\n< c 200 " + is1, true},
		{"token with other parameters did not write", "> a " + both + "\n< a 400 {}\n> b " + alone + "\n< b 200 {}\n> c " + read + "\n< c 200 {}", false},
		{"row of a scan is stale", "> a " + put1 + "\n< a 200 {}\n> b " + put2 + "\n< b 200 {}\n> c Scan {\"TableName\":\"t\",\"ConsistentRead\":true}\n< c 200 {\"Items\":[{\"p\":{\"S\":\"x\"},\"v\":{\"N\":\"1\"}}]}", false},
		{"statements are not followed", "> s ExecuteStatement {\"Statement\":\"INSERT INTO t VALUE {'p':'x','v':1}\"}\n< s 200 {}\n> c " + read + "\n< c 200 " + is1, true},
	} {
		err := story(t, c.text).check()
		var v *violation
		if c.fine && err != nil || !c.fine && !errors.As(err, &v) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"b":1, "a": [ {"d":"x y","c":1.50} ] }`, `{"a":[{"c":1.50,"d":"x y"}],"b":1}`},
		{`{"a":1,"a":2}`, `{"a":1,"a":2}`},
		{`{"a":`, `{"a":`},
		{`[]`, `[]`},
		{`{"\u0062":{},"a":null}`, `{"a":null,"b":{}}`},
	} {
		if got := string(canonical([]byte(c.in))); got != c.want {
			t.Errorf("canonical(%s) = %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":{"S":"x"},"a":[1,{"d":2,"c":3}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		once := canonical(body)
		if again := canonical(once); string(again) != string(once) {
			t.Errorf("%q becomes %q and then %q", body, once, again)
		}
	})
}
