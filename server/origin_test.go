package server

import (
	"net/http/httptest"
	"testing"
)

// Pages of other origins than those given do not get to read answers.
func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		origins      []string
		origin, want string
	}{
		{nil, "http://a", "*"},
		{[]string{"http://a", "http://b"}, "http://b", "http://b"},
		{[]string{"http://a"}, "http://c", ""},
	} {
		e := fakeEdge(idle())
		e.origins = c.origins
		r := newRequest("ListTables", `{}`)
		r.Header.Set("Origin", c.origin)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.want {
			t.Errorf("origins %q, page of %s: %q, want %q", c.origins, c.origin, got, c.want)
		}
	}
}
