package lsm

import (
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// What is left open is counted, reported by Close with who made it, and works on.
func TestPins(t *testing.T) {
	for _, tracked := range []bool{false, true} {
		var events []PinEvent
		db := mustOpenDB(t, vfs.NewMem(), Options{
			TrackPins: tracked, Events: &Listener{Pinned: func(e PinEvent) { events = append(events, e) }},
		})
		if err := set(db, "a", "1"); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		closed, _ := db.NewIter(IterOptions{})
		left, _ := db.NewIter(IterOptions{})
		s := db.NewSnapshot()
		ofSnapshot := forgetful(t, s)
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		if m := db.Metrics(); m.Iterators != 2 || m.Snapshots != 1 {
			t.Errorf("metrics count %d iterators and %d snapshots", m.Iterators, m.Snapshots)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if len(events) != 1 || events[0].Iterators != 2 || events[0].Snapshots != 1 {
			t.Fatalf("tracked=%v: Close reports %+v", tracked, events)
		}
		var got []string
		for _, p := range events[0].Pins {
			got = append(got, p.String())
		}
		want := []string{"iterator at seq 1, made by .TestPins", "snapshot at seq 1, made by .TestPins", "iterator at seq 1, made by .forgetful"}
		if !tracked {
			want = nil
		}
		if len(got) != len(want) {
			t.Fatalf("tracked=%v: Close reports %q, want %q", tracked, got, want)
		}
		for i, w := range want {
			what, who, _ := strings.Cut(w, " by ")
			if !strings.HasPrefix(got[i], what) || !strings.Contains(got[i], who+" ") || !strings.Contains(got[i], "pins_test.go:") {
				t.Errorf("Close reports %q, want %q", got[i], w)
			}
		}
		for _, it := range []*Iterator{left, ofSnapshot} {
			if !it.First() || string(it.Key()) != "a" || it.Close() != nil {
				t.Errorf("an iterator left open is lost: %v", it.Err())
			}
		}
		s.Close()
		if pins := db.Pins(); len(pins) != 0 || db.Metrics().Iterators != 0 {
			t.Errorf("all closed, but there are %v", pins)
		}
	}
}

// A filtered iterator is an iterator.
func TestFilteredPin(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), Options{TrackPins: true, Facets: func(_, _ []byte, _ *Tags) {}})
	defer db.Close()
	it, err := db.NewFilteredIter(IterOptions{}, HasTag([]byte("t")))
	if err != nil {
		t.Fatal(err)
	}
	if pins := db.Pins(); len(pins) != 1 || !strings.Contains(pins[0].String(), ".TestFilteredPin ") {
		t.Errorf("open are %v", pins)
	}
	if err := it.Close(); err != nil || len(db.Pins()) != 0 {
		t.Errorf("Close = %v, open are %v", err, db.Pins())
	}
}

func forgetful(t *testing.T, s *Snapshot) *Iterator {
	it, err := s.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return it
}
