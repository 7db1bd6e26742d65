package sim

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
)

// A witness proves that a history can be explained, in time that is linear but for
// sorting, when it can: it is told in which order the writes of an item took effect,
// because the simulator saw them being applied, and need not search for one.
//
//  1. The writes, in the order in which they were applied, are replayed on the
//     model. Each must come to what its client was told, and no client may have
//     been told of a write that was never applied. Where a commit may be that of
//     one of several requests, it is that of the one that returned first, of
//     those that can have done what they were told.
//  2. No write may come after one that was called when it had returned.
//  3. Each read is given the earliest place between two writes at which there was
//     what it saw, and which is not before that of anything that had returned when
//     it was called. No write that was called after it returned may come before it.
//
// What passes is linearizable, whatever the witness was told. What does not need not be wrong: then
// porcupine searches (search.go), and its verdict counts.
type witness[S, O any] struct {
	*Model[S, O]
	versions []S // after so many writes; the first is that before all
	writes   []placed[O]
	reads    []placed[O]
}

// placed is a request with its place: a write makes version pos, a read saw it.
type placed[O any] struct {
	of             *O
	call, returned int64
	pos            int
}

func newWitness[S, O any](m *Model[S, O]) *witness[S, O] {
	return &witness[S, O]{Model: m, versions: make([]S, 1)}
}

// Proves reports whether the order in which writes were applied explains the requests, which are in the
// order of their calls. For each commit there are the requests that it may be.
func (m *Model[S, O]) Proves(commits iter.Seq[[]*O], requests []*O) bool {
	w := newWitness(m)
	return w.replay(commits, requests) && w.inTime() && w.read(requests)
}

func (w *witness[S, O]) place(o *O, pos int) placed[O] {
	call, returned := w.Span(o)
	return placed[O]{o, call, returned, pos}
}

// replay is step 1.
func (w *witness[S, O]) replay(commits iter.Seq[[]*O], requests []*O) bool {
	applied := map[*O]bool{}
	for candidates := range commits {
		var first placed[O]
		var after S
		for _, o := range candidates {
			if applied[o] {
				continue
			}
			p := w.place(o, len(w.versions))
			if first.of != nil && first.returned <= p.returned {
				continue
			}
			if ok, s := w.Step(w.versions[len(w.versions)-1], o); ok {
				first, after = p, s
			}
		}
		if first.of == nil {
			return false
		}
		applied[first.of] = true
		w.writes = append(w.writes, first)
		w.versions = append(w.versions, after)
	}
	for _, o := range requests {
		if _, returned := w.Span(o); returned < math.MaxInt64 && !w.Reads(o) && !applied[o] {
			return false
		}
	}
	return true
}

// inTime is step 2.
func (w *witness[S, O]) inTime() bool {
	latest := int64(0)
	for _, p := range w.writes {
		if p.returned < latest {
			return false
		}
		latest = max(latest, p.call)
	}
	return true
}

// read is step 3. Reads are placed in the order of their calls, so that all that
// had returned before have a place.
func (w *witness[S, O]) read(requests []*O) bool {
	called := slices.Clone(w.writes)
	slices.SortFunc(called, func(a, b placed[O]) int { return cmp.Compare(a.call, b.call) })
	first := make([]int, len(called)+1) // of the writes from there on, the earliest place
	first[len(called)] = len(w.versions)
	for i := len(called) - 1; i >= 0; i-- {
		first[i] = min(first[i+1], called[i].pos)
	}
	ended := slices.Clone(w.writes)
	slices.SortFunc(ended, func(a, b placed[O]) int { return cmp.Compare(a.returned, b.returned) })
	var open returns[O]
	lower, next := 0, 0
	for _, o := range requests {
		if !w.Reads(o) {
			continue
		}
		p := w.place(o, 0)
		for ; next < len(ended) && ended[next].returned < p.call; next++ {
			lower = max(lower, ended[next].pos)
		}
		lower = max(lower, open.before(p.call))
		upper := first[sort.Search(len(called), func(i int) bool { return called[i].call > p.returned })]
		for p.pos = lower; ; p.pos++ {
			if p.pos >= upper {
				return false
			}
			if ok, _ := w.Step(w.versions[p.pos], o); ok {
				break
			}
		}
		w.reads = append(w.reads, p)
		open.add(p)
	}
	return true
}

// returns are reads that may not have returned yet, by their return.
type returns[O any] struct {
	open  []placed[O]
	lower int // the greatest place of those that had
}

func (r *returns[O]) add(p placed[O]) { r.open = append(r.open, p) }

// before returns the greatest place of the reads that returned before a moment,
// which never goes back.
func (r *returns[O]) before(moment int64) int {
	rest := r.open[:0]
	for _, p := range r.open {
		if p.returned < moment {
			r.lower = max(r.lower, p.pos)
		} else {
			rest = append(rest, p)
		}
	}
	r.open = rest
	return r.lower
}
