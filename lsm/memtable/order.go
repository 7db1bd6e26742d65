package memtable

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/prefetch"
	"github.com/statordb/stator/lsm/key"
)

// An order is the sorted view of a table. Only those who walk in order need
// it, and most tables are walked through once, when they are flushed; so
// nothing is sorted until somebody asks.
//
// It is a few sorted runs of entries. view sorts the records that were added since
// the last call into a run of their own, and merges runs until each is at least
// eight times as long as the next: at most a handful, and each entry is moved a few
// dozen times in all however often the view is asked for.
//
// A run never changes, and neither does a list of runs: an iterator keeps the list
// that it began with and needs no lock. What is replaced is the collector's.
type order struct {
	mu     env.Leaf // guards the fields below it
	upTo   uint64   // place in the arena; the records before it are in runs
	prefix []byte   // what all keys in runs begin with
	runs   []run    // longest first
}

// A run is a sorted, immutable list of entries.
type run []entry

// An entry is one record and the window of its key: the eight bytes behind the prefix
// that all keys share, as a big-endian number with zeros behind the end of a short
// key. Windows order like keys, and equal ones say nothing.
type entry struct {
	window uint64
	ref    ref
}

// runRatio is how much longer a run is than the next, at least.
const runRatio = 8

// A view is a sorted view of a table at one moment.
type view struct {
	a      *arena
	prefix []byte
	runs   []run
}

// view returns the order of everything that is in the arena now, about so many records.
// whole merges all into one run, which pays when nothing will be added any more.
func (o *order) view(a *arena, records int, whole bool) view {
	o.mu.Lock()
	defer o.mu.Unlock()
	if end := a.end.Load(); end != o.upTo {
		o.take(a, end, records)
	}
	v := view{a, o.prefix, o.runs}
	if n := len(o.runs); whole && n > 1 || n > 1 && len(o.runs[n-2]) < runRatio*len(o.runs[n-1]) {
		o.runs = v.merged(whole)
		v.runs = o.runs
	}
	return v
}

// take makes a run of the records up to end, of about so many in all.
//
// Each record is read once: where they are many, that is what it takes the time for. If
// their keys turn out to have come in order, they are a run as they are.
func (o *order) take(a *arena, end uint64, records int) {
	if o.upTo == 0 {
		o.upTo = recordAlign
	}
	for _, r := range o.runs {
		records -= len(r)
	}
	entries := make(run, 0, max(records, 0))
	isAscending, last := true, []byte(nil)
	for r, rec := range a.records(o.upTo, end) {
		user := rec.user()
		n := len(o.prefix)
		if len(entries) == 0 && len(o.runs) == 0 {
			o.prefix = user
		} else if len(user) < n || string(user[:n]) != string(o.prefix) {
			entries = o.shorten(commonPrefix(user, o.prefix), entries)
		}
		e := entry{window(user, len(o.prefix)), r}
		if n := len(entries); n > 0 && isAscending {
			before := entries[n-1].window
			isAscending = before < e.window || before == e.window && bytes.Compare(last, user) < 0
		}
		last = user
		entries = append(entries, e)
	}
	o.upTo = end
	if len(entries) == 0 {
		return
	}
	if !isAscending {
		entries = view{a: a, prefix: o.prefix}.sorted(entries)
	}
	o.runs = append(slices.Clone(o.runs), entries)
}

// shorten makes n bytes the common prefix, fewer than it has, and returns entries with
// windows behind that; those of runs change, too, their order does not.
func (o *order) shorten(n int, entries run) run {
	old := o.prefix
	o.prefix = old[:n:n]
	behind := func(w uint64) uint64 {
		if gone := len(old) - n; gone < 8 {
			return window(old, n) | w>>(8*gone)
		}
		return window(old, n)
	}
	runs := make([]run, len(o.runs))
	for i, old := range o.runs {
		runs[i] = make(run, len(old))
		for j, e := range old {
			runs[i][j] = entry{behind(e.window), e.ref}
		}
	}
	o.runs = runs
	for i := range entries {
		entries[i].window = behind(entries[i].window)
	}
	return entries
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// window returns the eight bytes of k from position from on.
func window(k []byte, from int) uint64 {
	n := len(k) - from
	switch {
	case n >= 8:
		return binary.BigEndian.Uint64(k[from:])
	case n <= 0:
		return 0
	}
	var b [8]byte
	copy(b[:], k[from:])
	return binary.BigEndian.Uint64(b[:])
}

// sorted makes a run of entries that are in the order of their arrival.
func (v view) sorted(entries run) run {
	// Newest first, as versions of one key are to be: sorting is stable.
	slices.Reverse(entries)
	entries = sortWindows(entries)
	// What windows cannot tell apart is usually versions of one key, in order.
	for from := 0; from < len(entries); {
		to := from + 1
		for to < len(entries) && entries[to].window == entries[from].window {
			to++
		}
		if to-from > 1 {
			slices.SortStableFunc(entries[from:to], v.compare)
		}
		from = to
	}
	return entries
}

// compare orders entries by internal key.
func (v view) compare(x, y entry) int {
	if x.window != y.window {
		if x.window < y.window {
			return -1
		}
		return 1
	}
	a, b := v.a.record(x.ref), v.a.record(y.ref)
	return key.Compare(a.user(), a.trailer(), b.user(), b.trailer())
}

// merged returns the runs with neighbours merged that are of similar length, or with
// all merged into one.
func (v view) merged(whole bool) []run {
	runs := slices.Clone(v.runs)
	for n := len(runs); n > 1 && (whole || len(runs[n-2]) < runRatio*len(runs[n-1])); n-- {
		runs[n-2] = v.merge(runs[n-2], runs[n-1])
		runs = runs[:n-1]
	}
	return runs
}

func (v view) merge(x, y run) run {
	out := make(run, 0, len(x)+len(y))
	for len(x) > 0 && len(y) > 0 {
		if v.compare(x[0], y[0]) <= 0 {
			out, x = append(out, x[0]), x[1:]
		} else {
			out, y = append(out, y[0]), y[1:]
		}
	}
	return append(append(out, x...), y...)
}

// lowerBound returns the number of entries of a run that are less than (user, t).
func (v view) lowerBound(r run, user []byte, t key.Trailer) int {
	if !bytes.HasPrefix(user, v.prefix) {
		if bytes.Compare(user, v.prefix) < 0 {
			return 0
		}
		return len(r)
	}
	w := window(user, len(v.prefix))
	lower, upper := 0, len(r)
	for lower < upper {
		mid := int(uint(lower+upper) >> 1)
		if v.less(r[mid], w, user, t) {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	return lower
}

// less reports whether an entry is less than (user, t), whose window is w.
func (v view) less(e entry, w uint64, user []byte, t key.Trailer) bool {
	if e.window != w {
		return e.window < w
	}
	rec := v.a.record(e.ref)
	return key.Compare(rec.user(), rec.trailer(), user, t) < 0
}

// versions returns the number of entries at the start of r with the given user key, whose
// window is w and before which there is nothing in r.
//
// It gallops over windows, which lie side by side, to the end of the equal ones. Only those
// may be of the key, and usually all are: then one record is looked at.
func (v view) versions(r run, w uint64, user []byte) int {
	known, end := 0, len(r) // r[:known] have the window, r[end:] have another
	for step := 1; known < end; step *= 2 {
		probe := min(known+step, end) - 1
		if r[probe].window != w {
			end = probe
			break
		}
		known = probe + 1
	}
	for known < end {
		if mid := int(uint(known+end) >> 1); r[mid].window == w {
			known = mid + 1
		} else {
			end = mid
		}
	}
	if end < len(r) {
		v.a.ask(r[end].ref) // which is likely to be shown next
	}
	for lower, last := 0, end-1; lower < end; last = int(uint(lower+end) >> 1) {
		if bytes.Equal(v.a.record(r[last].ref).user(), user) {
			lower = last + 1
		} else {
			end = last
		}
	}
	return end
}

// ask asks the processor for the beginning of a record.
func (a *arena) ask(r ref) { prefetch.Line(unsafe.Pointer(&a.record(r)[0])) }

// radixFrom is the length from which sorting digit by digit beats comparing.
const radixFrom = 256

// sortWindows sorts entries by window, keeping the order of equal ones. It may use
// the given memory and returns the result.
//
// It goes through the windows from the least significant byte on and leaves out the
// bytes that are all alike: of counters and hashes in hexadecimal there are many.
func sortWindows(entries run) run {
	if len(entries) < radixFrom {
		slices.SortStableFunc(entries, func(x, y entry) int {
			switch {
			case x.window < y.window:
				return -1
			case x.window > y.window:
				return 1
			}
			return 0
		})
		return entries
	}
	var counts [8][256]uint32
	for _, e := range entries {
		for digit := range counts {
			counts[digit][byte(e.window>>(8*digit))]++
		}
	}
	from, to := entries, make(run, len(entries))
	for digit := range counts {
		count := &counts[digit]
		if count[byte(from[0].window>>(8*digit))] == uint32(len(from)) {
			continue
		}
		place := uint32(0)
		for i, n := range count {
			count[i], place = place, place+n
		}
		for _, e := range from {
			d := byte(e.window >> (8 * digit))
			to[count[d]] = e
			count[d]++
		}
		from, to = to, from
	}
	return from
}
