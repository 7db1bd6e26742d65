package server

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func TestAccountOf(t *testing.T) {
	for key, want := range map[string]string{
		"123456789012":         "123456789012",
		"AKIAIOSFODNN7EXAMPLE": "581039954779",
		"ASIAQNZGKIQY56JQ7WML": "029608264753",
		"AKIA not in base 32!": "", // any account
		"any":                  "",
		"":                     "",
	} {
		got := accountOf(key)
		if len(got) != 12 || strings.Trim(got, "0123456789") != "" || want != "" && got != want {
			t.Errorf("accountOf(%q) = %s, want %s", key, got, want)
		}
	}
	if accountOf("any") == accountOf("other") {
		t.Error("two keys stand for one account")
	}
}

// callAs sends a request in the name of a key in a region.
func callAs(t *testing.T, s *Server, key, region, operation, body string) string {
	t.Helper()
	r := newRequest(operation, body)
	r.Header.Set("Authorization", strings.ReplaceAll(strings.ReplaceAll(testSignature, "key/", key+"/"), "us-east-1", region))
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Body.String()
}

// Access keys and regions separate tables, unless they are shared.
func TestCallers(t *testing.T) {
	for _, shared := range []bool{false, true} {
		s, err := Open(Options{Memory: true, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		callAs(t, s, "123456789012", "eu-west-1", "CreateTable", createABC)
		for _, c := range []struct {
			key, region string
			same        bool
		}{
			{"123456789012", "eu-west-1", true}, {"123456789012", "us-east-1", false}, {"any", "eu-west-1", false}, {"123456789012", "eu-west-1", true},
		} {
			got := callAs(t, s, c.key, c.region, "ListTables", `{}`)
			want := `{"TableNames":[]}`
			if c.same || shared {
				want = `{"TableNames":["abc"]}`
			}
			if got != want {
				t.Errorf("shared %v, %s in %s: %s, want %s", shared, c.key, c.region, got, want)
			}
		}
		arn := "arn:aws:dynamodb:eu-west-1:123456789012:table/abc"
		if shared {
			arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc"
		}
		if got := callAs(t, s, "123456789012", "eu-west-1", "DescribeTable", `{"TableName":"abc"}`); !strings.Contains(got, arn) {
			t.Errorf("shared %v: %s, want ARN %s", shared, got, arn)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A table of another account is not for the caller, whether there is one or not; one in another
// region is just not there.
func TestForeignTables(t *testing.T) {
	for _, shared := range []bool{false, true} {
		s, err := Open(Options{Memory: true, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ operation, account, region, want string }{
			{"GetItem", "111122223333", "us-east-1", "AccessDenied"},
			{"PutItem", "111122223333", "us-east-1", "AccessDenied"},
			{"DescribeTable", "111122223333", "us-east-1", "AccessDenied"},
			{"GetItem", "000000000000", "eu-west-1", "ResourceNotFound"},
			{"DescribeTable", "000000000000", "us-east-1", "ResourceNotFound"},
		} {
			arn := "arn:aws:dynamodb:" + c.region + ":" + c.account + ":table/abc"
			got := callAs(t, s, "000000000000", "us-east-1", c.operation, `{"TableName":"`+arn+`","Key":{"a":{"S":"x"}},"Item":{"a":{"S":"x"}}}`)
			if !strings.Contains(got, "#"+c.want) || c.want == "AccessDenied" && !strings.Contains(got, "dynamodb:"+c.operation+" on resource: "+arn) {
				t.Errorf("shared %v, %s of %s: %s, want %s", shared, c.operation, arn, got, c.want)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Many keys of one account do not pile up.
func TestCallersAreBounded(t *testing.T) {
	made := 0
	c := callers{enter: func(account, region string) (map[string]operation, bool) {
		made++
		return map[string]operation{}, region != "unknown"
	}}
	for i := range 3 * maxCallers {
		c.operations(caller{strconv.Itoa(i), "r"})
		c.operations(caller{strconv.Itoa(i), "r"})
	}
	if n := len(*c.known.Load()); n > maxCallers || made != 3*maxCallers {
		t.Errorf("%d callers are known, operations were made %d times", n, made)
	}
	c.operations(caller{"1", "unknown"})
	c.operations(caller{"1", "unknown"})
	if made != 3*maxCallers+2 {
		t.Errorf("operations were made %d times: those that are not worth it were kept", made)
	}
}
