package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A weak read may show any version that was there, but not one of the future, none that
// nobody made, and none that was replaced too long ago.
func TestWeakReads(t *testing.T) {
	second := env.Mono(time.Second)
	put := func(call, ret int64, value string) *Operation {
		return &Operation{Key: "a", Kind: Put, Value: value, Call: call, Return: ret, Outcome: Done}
	}
	first, second1 := put(1, 3, "v1"), put(4, 6, "v2")
	commits := []commit{{when: 2, at: second, op: first}, {when: 5, at: 2 * second, op: second1}}
	for name, c := range map[string]struct {
		saw    *State
		ret    int64
		fresh  env.Mono
		reason string
	}{
		"the latest":                {saw("v2", 0), 9, 3 * second, ""},
		"an older one":              {saw("v1", 0), 9, 0, ""},
		"one replaced just now":     {saw("v1", 0), 9, 2 * second, ""},
		"nothing":                   {nothing, 9, 0, ""},
		"one of the future":         {saw("v2", 0), 4, 0, "was not there before"},
		"one that nobody has made":  {saw("v9", 0), 9, 0, "was not there before"},
		"one replaced too long ago": {saw("v1", 0), 9, 2*second + 1, "replaced more than"},
		"nothing, for too long":     {nothing, 9, second + 1, "replaced more than"},
	} {
		h := &History{commits: map[string][]commit{"a": commits}}
		h.Operations = []*Operation{first, second1, {Key: "a", Kind: Get, Stale: true, Call: 2, Return: c.ret, Outcome: Done, Saw: c.saw, Fresh: c.fresh}}
		err := h.Check()
		if c.reason == "" && err != nil || c.reason != "" && (CheckerOf(err) != Staleness || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
		h.commits = nil // then it is known only who has written what
		if err := h.Check(); (err != nil) != (name == "one that nobody has made" || name == "one of the future") {
			t.Errorf("%s, without commits: %v", name, err)
		}
	}
}

// Where leases may be believed for too long, a consistent read may be old, but no write
// may be lost.
func TestBrokenLeasesAreExcused(t *testing.T) {
	put := func(call, ret int64, value string, saw *State) *Operation {
		return &Operation{Key: "a", Kind: Put, Value: value, Call: call, Return: ret, Outcome: Done, Saw: saw}
	}
	get := &Operation{Key: "a", Kind: Get, Call: 5, Return: 6, Outcome: Done, Saw: nothing}
	h := &History{Operations: []*Operation{put(1, 2, "v1", nothing), put(3, 4, "v2", saw("v1", 0)), get}}
	if err := h.Check(); CheckerOf(err) != Linearizability {
		t.Errorf("an old read: %v, want a violation", err)
	}
	h.leasesBroken = true
	if err := h.Check(); err != nil {
		t.Errorf("an old read while leases are broken: %v", err)
	}
	h.Operations[1].Saw = nothing
	if err := h.Check(); CheckerOf(err) != Linearizability {
		t.Errorf("a lost write while leases are broken: %v, want a violation", err)
	}
}
