package sim

import (
	"errors"
	"testing"
	"time"
)

// aLoner is a plan of nothing but the engine alone.
func aLoner(seed uint64) *Plan {
	return NewPlan(seed, Options{Nodes: 1, Workload: []string{engineLoad}, Calm: true, Duration: time.Second})
}

// runLoner runs the bursts of a plan, and nothing else of it.
func runLoner(seed uint64, spoil func(l *loner)) error {
	r := newRun(aLoner(seed), Options{})
	defer r.world.Close()
	err := r.world.Do(r.clients, "story", func() {
		spoil(r.startLoner())
		_ = r.tasks.Wait()
	})
	return errors.Join(err, r.err)
}

func TestEngineAlone(t *testing.T) {
	for seed := range uint64(20) {
		if err := runLoner(seed, func(*loner) {}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Whoever believes that it is tried must see it fail.
func TestEngineAloneOnALyingDisk(t *testing.T) {
	for seed := range uint64(20) {
		if err := runLoner(seed, func(l *loner) { l.disk.SetLying(true) }); err != nil {
			if by := CheckerOf(err); by != Engine && by != Boot {
				t.Errorf("seed %d: found by %s: %v", seed, by, err)
			}
			return
		}
	}
	t.Error("a disk on which nothing is durable was not noticed")
}

// Of what a hand has done, what it was told must be there, and of the rest any beginning.
func TestHand(t *testing.T) {
	set := func(k, v string) deed { return deed{{key: k, value: v}} }
	h := &hand{base: content{"a": "1"}, deeds: []deed{
		set("b", "2"),
		{{key: "a", end: "b"}, {key: "c", value: "3"}},
		{{key: "c"}},
	}}
	for _, c := range []struct {
		there content
		least int
		n     int
		ok    bool
	}{
		{content{"a": "1"}, 0, 0, true},
		{content{"a": "1"}, 1, 3, false}, // the first is lost
		{content{"a": "1", "b": "2"}, 1, 1, true},
		{content{"b": "2"}, 0, 3, true},
		{content{"a": "1", "b": "2", "c": "3"}, 0, 3, false}, // half of the second
		{content{"b": "2", "c": "3"}, 0, 2, true},
	} {
		if n, ok := h.find(c.there, c.least); ok != c.ok || ok && n != c.n {
			t.Errorf("%v, %d or more: %d, %v; want %d, %v", c.there, c.least, n, ok, c.n, c.ok)
		}
	}
	h.told, h.safe = 2, 1
	if h.settle(2); len(h.deeds) != 1 || h.told != 1 || h.safe != 0 || h.base["b"] != "2" {
		t.Errorf("after two of three, one of which is durable: %v, %d told, %d safe", h, h.told, h.safe)
	}
}
