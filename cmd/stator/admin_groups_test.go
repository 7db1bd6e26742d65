package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/server"
)

func TestSplitRequest(t *testing.T) {
	for _, c := range []struct {
		what, at string
		want     server.AdminRequest
	}{
		{"12", "", server.AdminRequest{Group: 12}},
		{"orders", "0x8000000000000000", server.AdminRequest{Table: "orders", Hash: 1 << 63}},
		{"7", "99", server.AdminRequest{Group: 7, Hash: 99}},
	} {
		in, err := (&splitCommand{What: c.what, At: c.at}).request()
		if err != nil || in.Group != c.want.Group || in.Table != c.want.Table || in.Hash != c.want.Hash {
			t.Errorf("split %s %s asks for %+v, %v, want %+v", c.what, c.at, in, err, c.want)
		}
	}
	if _, err := (&splitCommand{What: "7", At: "middle"}).request(); err == nil {
		t.Error("a hash that is no number is taken")
	}
}

// TestDrainNote: whoever drains a node whose replicas nobody else can take is told so.
func TestDrainNote(t *testing.T) {
	three := []server.AdminMember{{Node: 1, Zone: "a", State: "active"}, {Node: 2, Zone: "b", State: "active"}, {Node: 3, Zone: "c", State: "draining"}}
	if got := drainNote(three, 3); !strings.Contains(got, "go on with 2,") {
		t.Errorf("of three: %q", got)
	}
	for _, fourth := range []server.AdminMember{{Node: 4, Zone: "c", State: "active"}, {Node: 4, Zone: "d", State: "active"}} {
		if got := drainNote(append(three[:3:3], fourth), 3); got != "" {
			t.Errorf("with another one in zone %s: %q", fourth.Zone, got)
		}
	}
	if got := drainNote(append(three[:3:3], server.AdminMember{Node: 4, Zone: "c", State: "lost"}), 3); got == "" {
		t.Error("a node that is lost takes nothing")
	}
}

// TestGroupsOfOneThatHangs: a node that does not answer keeps nobody from seeing what the others know.
func TestGroupsOfOneThatHangs(t *testing.T) {
	over := make(chan struct{}) // the server does not always see that its client has gone
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("node") == "2" {
			<-over
			return
		}
		_, _ = io.WriteString(w, `{"node":3,"groups":[{}]}`)
	}))
	defer s.Close()
	defer close(over)
	c := &adminCommand{Endpoint: s.URL}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	answers := c.askOthers(ctx, &server.AdminStatus{Node: 1, Members: []server.AdminMember{{Node: 1}, {Node: 2}, {Node: 3}, {Node: 4, State: "gone"}}})
	if answers[0] != nil || answers[1] != nil || answers[3] != nil || answers[2] == nil || len(answers[2].Groups) != 1 {
		t.Errorf("answers %+v", answers)
	}
}
