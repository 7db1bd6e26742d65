package stator

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func client(h http.HandlerFunc) *http.Client { return &http.Client{Transport: inProcess{h}} }

func TestInProcessRequest(t *testing.T) {
	c := client(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Saw", r.Method+" "+r.Host+" "+r.RequestURI+" "+string(body))
		w.WriteHeader(418)
		w.Header().Set("X-Late", "too late")
		io.WriteString(w, "short and ")
		io.WriteString(w, "stout")
	})
	res, err := c.Post("http://somewhere?a=b", "text/plain", strings.NewReader("tea"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if got, want := res.Header.Get("X-Saw"), "POST somewhere /?a=b tea"; got != want {
		t.Errorf("the handler saw %q, want %q", got, want)
	}
	if res.StatusCode != 418 || string(body) != "short and stout" || res.ContentLength != int64(len(body)) || res.Header.Get("X-Late") != "" {
		t.Errorf("answer = %d %q length %d late %q", res.StatusCode, body, res.ContentLength, res.Header.Get("X-Late"))
	}
}

func TestInProcessDefaultsTo200(t *testing.T) {
	res, err := client(func(http.ResponseWriter, *http.Request) {}).Get("http://x/")
	if err != nil || res.StatusCode != 200 || res.Status != "200 OK" {
		t.Errorf("answer = %v, %v", res, err)
	}
}

func TestInProcessCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := &closing{Reader: strings.NewReader("tea")}
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://x/", body)
	if _, err := (inProcess{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") })}).RoundTrip(req); err == nil {
		t.Error("a cancelled request was answered")
	}
	if !body.closed {
		t.Error("the body of a cancelled request stays open; a RoundTripper closes it in any case")
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
