package iterator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// A stretched is a slice that shows up to width entries around the current one. Its
// items lie in memory that is overwritten at once when it leaves them, so that who
// keeps them too long is found out.
type stretched struct {
	slice
	width   int
	stretch Stretch
	from    int
	buf     []byte
}

func newStretched(width int, entries ...entry) *stretched {
	return &stretched{slice: *newSlice(entries...), width: width}
}

func (s *stretched) Stretch() *Stretch { return &s.stretch }

// show makes the current entry an item among its neighbours, of which more lie ahead.
func (s *stretched) show(ok bool, backward bool) bool {
	if !ok {
		return false
	}
	for i := range s.buf {
		s.buf[i] = '!'
	}
	s.buf = s.buf[:0]
	lower, upper := s.at, min(s.at+s.width, len(s.entries))
	if backward {
		lower, upper = max(s.at+1-s.width, 0), s.at+1
	}
	s.stretch.Items = s.stretch.Items[:0]
	if cap(s.buf) == 0 {
		s.buf = make([]byte, 0, 1<<16)
	}
	for _, e := range s.entries[lower:upper] {
		n := len(s.buf)
		s.buf = append(append(s.buf, e.User...), e.value...)
		user, value := s.buf[n:n+len(e.User)], s.buf[n+len(e.User):]
		s.stretch.Items = append(s.stretch.Items, Item{user, e.Trailer, value})
	}
	s.from, s.stretch.At = lower, s.at-lower
	return true
}

func (s *stretched) on() bool { return s.at >= 0 && s.at < len(s.entries) && s.err == nil }

func (s *stretched) First() bool { return s.show(s.slice.First(), false) }
func (s *stretched) Last() bool  { return s.show(s.slice.Last(), true) }
func (s *stretched) SeekGE(user []byte, seq key.SeqNum) bool {
	return s.show(s.slice.SeekGE(user, seq), false)
}
func (s *stretched) SeekLT(user []byte) bool { return s.show(s.slice.SeekLT(user), true) }

func (s *stretched) Next() bool {
	if s.on() {
		if s.at = s.from + s.stretch.At; s.stretch.At+1 < len(s.stretch.Items) {
			s.stretch.At++
			return true
		}
	}
	return s.show(s.slice.Next(), false)
}

func (s *stretched) Prev() bool {
	if s.on() {
		if s.at = s.from + s.stretch.At; s.stretch.At > 0 {
			s.stretch.At--
			return true
		}
	}
	return s.show(s.slice.Prev(), true)
}

func (s *stretched) Key() ([]byte, key.Trailer) {
	e := s.stretch.item()
	return e.User, e.Trailer
}

func (s *stretched) Value() []byte { return s.stretch.item().Value }

// TestStretchedModel is TestModel for sources with stretches, and sometimes moves
// within a run by itself.
func TestStretchedModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	inRuns := 0
	for range 500 {
		sources, union := randomSources(rng)
		for i, s := range sources {
			switch rng.IntN(4) {
			case 0:
				sources[i] = skipping{s.(*slice)}
			default:
				sources[i] = newStretched(1+rng.IntN(9), s.(*slice).entries...)
			}
		}
		m, model := New(sources...), newSlice(union...)
		var trace []string
		for range 80 {
			name, got, want := randomMove(rng, m, model)
			trace = append(trace, name)
			if g, w := position(m, got), position(model, want); g != w {
				t.Fatalf("seed %d: %d sources, %d entries, moves %v: got %s, want %s",
					seed, len(sources), len(union), trace, g, w)
			}
			if !got {
				continue
			}
			s, first, end := m.Run()
			for ; !m.reverse && s.At+1 < end && rng.IntN(3) > 0; inRuns++ {
				s.At++
				trace = append(trace, "ahead")
				if g, w := position(m, true), position(model, model.Next()); g != w {
					t.Fatalf("seed %d: moves %v: got %s, want %s", seed, trace, g, w)
				}
			}
			for ; m.reverse && end > 0 && s.At > first && rng.IntN(3) > 0; inRuns++ {
				s.At--
				trace = append(trace, "back")
				if g, w := position(m, true), position(model, model.Prev()); g != w {
					t.Fatalf("seed %d: moves %v: got %s, want %s", seed, trace, g, w)
				}
			}
		}
	}
	if inRuns < 1000 {
		t.Errorf("only %d steps in runs: the test proves little", inRuns)
	}
}

// The searches in a stretch against looking at every item.
func TestStretchSearch(t *testing.T) {
	for n := 1; n < 20; n++ {
		s := &Stretch{}
		for i := range n {
			s.Items = append(s.Items, Item{User: fmt.Appendf(nil, "%02d", 2*(i/2))})
		}
		for s.At = range n {
			for limit := range 2*n + 2 {
				user := fmt.Appendf(nil, "%02d", limit)
				end, above, notBelow := s.At+1, s.At, s.At
				for end < n && string(s.Items[end].User) < string(user) {
					end++
				}
				for above > 0 && string(s.Items[above-1].User) > string(user) {
					above--
				}
				for notBelow > 0 && string(s.Items[notBelow-1].User) >= string(user) {
					notBelow--
				}
				if got := s.EndBelow(user); got != end {
					t.Fatalf("%d items, at %d: EndBelow(%s) = %d, want %d", n, s.At, user, got, end)
				}
				if got := s.firstAbove(user); got != above {
					t.Fatalf("%d items, at %d: firstAbove(%s) = %d, want %d", n, s.At, user, got, above)
				}
				if got := s.FirstNotBelow(user); got != notBelow {
					t.Fatalf("%d items, at %d: FirstNotBelow(%s) = %d, want %d", n, s.At, user, got, notBelow)
				}
			}
		}
	}
}
