package bench

import (
	"encoding/binary"
	"fmt"
	"math"
)

// filters find a share of all entries, chosen at random by something in the values:
//
//	predicate    scan all and look at each value
//	filtered     the same with what the engine offers for it, if it does (Finder); else
//	             that is to scan all and look at each value, too
//
// Unsettled is with a twentieth of the entries just written again.
var filters = []Workload{
	{Name: "predicate-1%", Data: Faceted, Percent: 1, run: (*runner).scanForShare},
	{Name: "filtered-1%", Data: Faceted, Percent: 1, run: (*runner).findShare},
	{Name: "predicate-10%", Data: Faceted, Percent: 10, run: (*runner).scanForShare},
	{Name: "filtered-10%", Data: Faceted, Percent: 10, run: (*runner).findShare},
	{Name: "overwrite-faceted", Data: Faceted, Group: "filters-unsettled", run: (*runner).overwrite},
	{Name: "predicate-1%-unsettled", Data: Faceted, Group: "filters-unsettled", Percent: 1, run: (*runner).scanForShare},
	{Name: "filtered-1%-unsettled", Data: Faceted, Group: "filters-unsettled", Percent: 1, run: (*runner).findShare},
	{Name: "predicate-10%-unsettled", Data: Faceted, Group: "filters-unsettled", Percent: 10, run: (*runner).scanForShare},
	{Name: "filtered-10%-unsettled", Data: Faceted, Group: "filters-unsettled", Percent: 10, run: (*runner).findShare},
}

// A Finder is a Session of an engine that finds entries by what is in their values,
// without looking at all of them. It needs Settings.Faceted.
type Finder interface {
	// Find visits, in order, the entries whose values are InShare of percent, 1 or 10,
	// and returns how many there were.
	Find(percent int, visit func(key, value []byte)) (int, error)
}

// InShare reports whether a value is in a share of so many percent of all. It knows by
// the first bytes behind the generation, which look random.
func InShare(value []byte, percent int) bool {
	if len(value) < generationBytes+8 {
		return true
	}
	return int(spread(binary.LittleEndian.Uint64(value[generationBytes:]))%100) < percent
}

// How often a sample goes over all entries.
const (
	predicateRounds = 2
	findRounds      = 10
)

func (r *runner) scanForShare(w *Workload) (Sample, error) {
	return r.clockShare(w, predicateRounds, scanShare)
}

func (r *runner) findShare(w *Workload) (Sample, error) {
	return r.clockShare(w, findRounds, func(s Session, percent int, visit func(k, v []byte)) (int, error) {
		if f, ok := s.(Finder); ok {
			return f.Find(percent, visit)
		}
		return scanShare(s, percent, visit)
	})
}

// scanShare scans all and visits the share.
func scanShare(s Session, percent int, visit func(k, v []byte)) (n int, err error) {
	_, err = s.Scan(nil, false, math.MaxInt, func(k, v []byte) {
		if InShare(v, percent) {
			n++
			visit(k, v)
		}
	})
	return n, err
}

// clockShare lets find visit the share again and again. What it must come to is known from
// a scan in which each entry was checked. The figure is per entry of the database, not of
// the share.
func (r *runner) clockShare(w *Workload, rounds int, find func(s Session, percent int, visit func(k, v []byte)) (int, error)) (Sample, error) {
	d := r.data
	want, sum := 0, uint64(0)
	if n, _, err := r.readAllThen(d, func(k, v []byte) {
		if InShare(v, w.Percent) {
			want++
			sum += checksum(k, v)
		}
	}); err != nil || n != d.entries {
		return Sample{}, errorsOr(err, "%d of %d entries are there", n, d.entries)
	}
	tasks, err := r.tasks(w, d, rounds)
	if err != nil {
		return Sample{}, err
	}
	s, err := r.clock(w, tasks, func(t *task, i int) error {
		again := uint64(0)
		n, err := find(t.session, w.Percent, func(k, v []byte) { again += checksum(k, v) })
		if err == nil && (n != want || again != sum) {
			err = fmt.Errorf("%d entries were found, and not the %d that a scan finds; sum %x instead of %x", n, want, again, sum)
		}
		return err
	})
	s.per(d.entries * s.Ops)
	return s, err
}

func errorsOr(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}
