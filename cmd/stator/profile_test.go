package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestProfiles(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	end, err := profiles(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	answer, err := http.Get("http://" + addr + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || !strings.HasPrefix(string(b), "goroutine profile:") {
		t.Errorf("%v: %.80s", err, b)
	}
	if _, err := profiles("0.0.0.0:0"); err == nil {
		t.Error("profiles for everybody who reaches this machine")
	}
	if _, err := profiles(addr); err == nil {
		t.Error("an address that is taken is no error")
	}
	if end, err := profiles(""); err != nil || end() != nil {
		t.Error("no profiles: an error")
	}
}
