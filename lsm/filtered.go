package lsm

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/tombstone"
)

// A FilteredIter moves over the live keys for whose values a filter holds. It moves,
// stands and fails as an Iterator does, which would come to the same keys if it were
// asked for the tags of each value; but it touches only rows that may match.
//
//	each source, newest first          bitmaps of a table, or of a memtable
//	    → rows for which the filter may hold
//	    → versions that are visible, and not hidden by a newer one
//	      in the same source, by a range delete, or in a newer source
//	merge of all sources               by key; no key comes from two of them
//
// The filters of newer tables answer nearly all questions whether they have a newer
// version. Rows are worked on in groups, so that the cache misses of a group overlap.
//
// It keeps the tables that it reads from; close it soon. It is not safe for concurrent
// use.
type FilteredIter struct {
	db           *DB
	state        *state
	seq          key.SeqNum
	pin          uint64 // its number in DB.pins
	lower, upper []byte
	filter       Filter
	deletes      []*tombstone.List // of all sources; without the empty ones
	sources      []hits            // newest first
	newer        []newerSource     // the same as places to look for newer versions
	facets       faceter
	touched      uint64 // keeps the compiler from leaving out loads
	pointed      []byte // a value that lies in a value file
	counts       FilterMetrics

	place   place
	err     error
	reverse bool
	at      int // the source that has the current key, or -1
	second  int // the one that comes next after it, or -1
	pivot   []byte

	user, value []byte
	isPointer   bool // value leads to the value
}

// NewFilteredIter returns an iterator over what is visible now and matches the filter.
// The caller must close it. Without Options.Facets the error is ErrNoFacets.
func (db *DB) NewFilteredIter(o IterOptions, f Filter) (*FilteredIter, error) {
	s, err := db.acquireState()
	if err != nil {
		return nil, err
	}
	return db.newFilteredIter(s, key.SeqNum(db.visible.Load()), o, f)
}

// NewFilteredIter is DB.NewFilteredIter as of the snapshot. The iterator may outlive
// it.
func (s *Snapshot) NewFilteredIter(o IterOptions, f Filter) (*FilteredIter, error) {
	st, err := s.acquireState()
	if err != nil {
		return nil, err
	}
	return s.db.newFilteredIter(st, s.seq, o, f)
}

// newFilteredIter takes over the reference to the state.
func (db *DB) newFilteredIter(s *state, seq key.SeqNum, o IterOptions, f Filter) (*FilteredIter, error) {
	if db.o.Facets == nil {
		db.releaseState(s)
		return nil, ErrNoFacets
	}
	b, _ := db.keyBounds(o, nil)
	it := &FilteredIter{db: db, state: s, seq: seq, lower: b.lower, upper: b.upper, filter: f, at: -1}
	it.facets = db.o.faceter(s.version)
	for _, m := range append([]*memory{s.active}, s.sealed...) {
		it.addDeletes(m.Tombstones())
		if m.Len() > 0 {
			it.addSource(&memoryHits{it: it, rank: len(it.sources), m: m}, newerSource{memory: m})
		}
	}
	l0 := s.version.levels[0]
	for i := range l0 {
		it.addTables(l0[i:i+1], &b)
	}
	for _, tables := range s.version.levels[1:] {
		it.addTables(tables, &b)
	}
	it.addDeletes(s.version.tombstones())
	db.metrics.iterators.Add(1)
	it.pin = db.pins.add(false, uint64(seq), 2)
	return it, nil
}

func (it *FilteredIter) addDeletes(l *tombstone.List) {
	if !l.Empty() {
		it.deletes = append(it.deletes, l)
	}
}

// addTables adds those of tables, which lie side by side, that are within the bounds. One
// that the prefix leaves out has no newer versions of what is wanted either.
func (it *FilteredIter) addTables(tables []*table, b *keyBounds) {
	tables, skipped := b.within(tables)
	if skipped > 0 {
		it.db.metrics.prefixSkipped.Add(uint64(skipped))
	}
	if len(tables) > 0 {
		it.addSource(&tableHits{it: it, rank: len(it.sources), tables: tables}, newerSource{tables: tables})
	}
}

func (it *FilteredIter) addSource(s hitSource, n newerSource) {
	it.sources = append(it.sources, hits{source: s})
	it.newer = append(it.newer, n)
}

// First goes to the first key.
func (it *FilteredIter) First() bool { return it.seek(it.lower, false) }

// Last goes to the last key.
func (it *FilteredIter) Last() bool { return it.seek(it.upper, true) }

// SeekGE goes to the first key that is not less than user.
func (it *FilteredIter) SeekGE(user []byte) bool {
	if it.lower != nil && bytes.Compare(user, it.lower) < 0 {
		user = it.lower
	}
	return it.seek(user, false)
}

// SeekLT goes to the last key that is less than user.
func (it *FilteredIter) SeekLT(user []byte) bool {
	if it.upper != nil && bytes.Compare(user, it.upper) > 0 {
		user = it.upper
	}
	return it.seek(user, true)
}

// Next goes to the following key.
func (it *FilteredIter) Next() bool {
	switch {
	case it.err != nil || it.place == atEnd:
		return false
	case it.place == atStart:
		return it.First()
	case it.reverse:
		it.pivot = append(append(it.pivot[:0], it.user...), 0)
		return it.seek(it.pivot, false)
	}
	return it.step()
}

// Prev goes to the preceding key.
func (it *FilteredIter) Prev() bool {
	switch {
	case it.err != nil || it.place == atStart:
		return false
	case it.place == atEnd:
		return it.Last()
	case !it.reverse:
		it.pivot = append(it.pivot[:0], it.user...)
		return it.seek(it.pivot, true)
	}
	return it.step()
}

// seek places every source: at the first key not less than user, or in reverse at
// the last one less than user; nil stands for either end.
func (it *FilteredIter) seek(user []byte, reverse bool) bool {
	if it.state == nil {
		return false
	}
	it.reverse = reverse
	it.leaveWalks()
	return it.run(func() {
		for i := range it.sources {
			s := &it.sources[i]
			s.source.seek(user, reverse)
			s.refill()
		}
		it.choose()
	})
}

// step goes on in the same direction. Mostly the group at hand has the next key, and
// no other source has one before it.
func (it *FilteredIter) step() bool {
	s := &it.sources[it.at]
	if s.i+1 < s.ahead {
		s.advance()
		it.user, it.value, it.isPointer = s.user, s.value, s.isPointer
		it.counts.Emitted++
		return true
	}
	if s.advance() {
		it.show()
		return it.place == onKey
	}
	return it.run(func() {
		s.refill()
		it.choose()
	})
}

// show goes to the first of the keys at which the sources stand, when no source has
// to read for it.
func (it *FilteredIter) show() {
	it.choose()
	if it.err != nil {
		it.fail(it.err)
	}
}

// run makes a move. A page of a mapped file that cannot be read is an error of it.
func (it *FilteredIter) run(move func()) bool {
	it.err = nil
	err := vfs.Guard(func() error {
		move()
		return nil
	})
	if err = cmp.Or(it.err, err); err != nil {
		it.fail(err)
	}
	return it.place == onKey
}

func (it *FilteredIter) fail(err error) {
	it.err = err
	it.place = atStart
	it.at = -1
	it.user, it.value, it.isPointer = nil, nil, false
}

// choose finds the source whose key comes first in the direction of movement, and the
// one that comes next.
func (it *FilteredIter) choose() {
	it.at, it.second = -1, -1
	for i := range it.sources {
		s := &it.sources[i]
		switch {
		case !s.live:
		case it.at < 0 || it.before(s, &it.sources[it.at]):
			it.at, it.second = i, it.at
		case it.second < 0 || it.before(s, &it.sources[it.second]):
			it.second = i
		}
	}
	switch {
	case it.at < 0 && it.reverse:
		it.place = atStart
	case it.at < 0:
		it.place = atEnd
	default:
		s := &it.sources[it.at]
		it.err = s.err
		it.place, it.user, it.value, it.isPointer = onKey, s.user, s.value, s.isPointer
		s.ahead = len(s.group.list)
		if it.second >= 0 {
			s.ahead = s.endBefore(it.sources[it.second].user, it.reverse)
		}
		if it.err == nil {
			it.counts.Emitted++
		}
	}
}

// before reports whether what a stands on comes out before what b stands on. An error
// stands at a key such that something may be missing from it on, or in reverse before it.
func (it *FilteredIter) before(a, b *hits) bool {
	c := bytes.Compare(a.user, b.user)
	if c == 0 {
		return (a.err != nil) != it.reverse
	}
	return (c < 0) != it.reverse
}

// Valid reports whether the iterator stands on a key.
func (it *FilteredIter) Valid() bool { return it.place == onKey }

// Key returns the key, valid until the next move.
func (it *FilteredIter) Key() []byte { return it.user }

// Value returns the value, valid until the next move. As with an Iterator, a large value
// is read only now; if that fails, Value returns nil, the reason is in Err, and the
// iterator stands nowhere.
func (it *FilteredIter) Value() []byte {
	if it.isPointer {
		err := vfs.Guard(func() (err error) {
			it.value, it.pointed, err = it.state.version.valuePointed(it.user, it.value, it.pointed)
			return err
		})
		if it.isPointer = false; err != nil {
			it.fail(err)
		}
	}
	return it.value
}

// Err returns why the last move failed, or nil.
func (it *FilteredIter) Err() error { return it.err }

// Close gives the tables back. It may be called more than once.
func (it *FilteredIter) Close() error {
	if it.state == nil {
		return nil
	}
	it.fail(ErrClosed)
	for i := range it.sources {
		it.sources[i].source.close()
	}
	for i := range it.newer {
		it.newer[i].walk.close()
	}
	it.db.metrics.filtered(&it.counts)
	it.db.metrics.iterators.Add(-1)
	it.db.pins.remove(it.pin)
	it.db.releaseState(it.state)
	it.state, it.sources, it.newer = nil, nil, nil
	return nil
}

// matches asks the facet function whether the filter holds for a value.
func (it *FilteredIter) matches(v *candidate) (bool, error) {
	tags, err := it.facets.ask(v.user, v.trailer, v.value)
	return err == nil && it.filter.Match(tags), err
}

// isDeleted reports whether a range delete hides a version.
func (it *FilteredIter) isDeleted(user []byte, t key.Trailer) bool {
	for _, l := range it.deletes {
		if l.Cover(user, it.seq) > t.SeqNum() {
			return true
		}
	}
	return false
}

// A hitSource finds, in one memtable or in tables side by side, the versions that come
// out of the iterator.
type hitSource interface {
	// seek goes before the first key not less than user, or in reverse behind the
	// last one less than user; nil stands for either end. It reads nothing.
	seek(user []byte, reverse bool)

	// fill appends the next versions in that direction to group, in the order in
	// which they come; none at the end. If it fails without one, from is a key such
	// that nothing is missing before it, or in reverse, from it on.
	fill(group *group) (from []byte, err error)

	// close lets go of what it reads from.
	close()
}

// hits is a hitSource with the group of versions that it found last.
type hits struct {
	source hitSource
	group  group
	i      int // of the current version in the group
	ahead  int // while it has the current key: up to there the group comes before all others

	live        bool // it stands on a version, or on an error
	user, value []byte
	isPointer   bool
	err         error
}

// advance goes to the next version of the group, if there is one.
func (h *hits) advance() bool {
	if h.i+1 >= len(h.group.list) {
		return false
	}
	h.i++
	v := &h.group.list[h.i]
	h.user, h.value, h.isPointer = v.user, v.value, v.trailer.Kind() == key.ValuePointer
	return true
}

// refill gets the next group and goes to its first version.
func (h *hits) refill() {
	h.group.reset()
	h.user, h.err = h.source.fill(&h.group)
	h.i = -1
	h.live = h.advance() || h.err != nil
}

// endBefore returns the end of the versions behind the current one that come before user.
// It gallops.
func (h *hits) endBefore(user []byte, reverse bool) int {
	isBefore := func(i int) bool {
		c := bytes.Compare(h.group.list[i].user, user)
		return c != 0 && (c < 0) != reverse
	}
	lower, upper := h.i+1, len(h.group.list)
	if lower < upper && isBefore(upper-1) {
		return upper
	}
	for step := 1; lower < upper; step *= 2 {
		probe := min(lower+step, upper) - 1
		if !isBefore(probe) {
			upper = probe
			break
		}
		lower = probe + 1
	}
	return lower + sort.Search(upper-lower, func(i int) bool { return !isBefore(lower + i) })
}

// A group is some versions in the order of movement. Keys, and values that would not
// stay in their place, are in its buffer.
type group struct {
	list   []candidate
	buffer []byte
}

type candidate struct {
	user    []byte
	trailer key.Trailer
	value   []byte
	hash    uint64 // filter.Hash(user), or 0 as long as nobody asked for it
	row     uint32 // of the table in which it was found
	isSure  bool   // the filter holds; else the facet function must be asked
	hidden  bool
}

// add appends a candidate, to be set.
func (g *group) add() *candidate {
	g.list = slices.Grow(g.list, 1)[:len(g.list)+1]
	return &g.list[len(g.list)-1]
}

func (g *group) reset() { g.list, g.buffer = g.list[:0], g.buffer[:0] }

// sift removes what does not come out of the iterator: what the filter does not hold
// for, and what a newer source hides; rank is that of the source, and the newer sources with
// a bit in hidesNothing need not be asked. It stops at the first version of which it cannot
// be known; those behind it are removed, and n says how many have been dealt with.
func (it *FilteredIter) sift(g *group, rank int, hidesNothing uint64) (n int, err error) {
	it.counts.Considered += uint64(len(g.list))
	end := len(g.list)
	for i := range end {
		if v := &g.list[i]; v.isSure && !v.hidden && len(it.deletes) == 0 {
			continue
		}
		if err = it.decide(&g.list[i]); err != nil {
			end = i
			break
		}
	}
	for r := range rank {
		if r < 64 && hidesNothing>>r&1 != 0 {
			continue
		}
		if s := &it.newer[r]; end > 0 && !(plant.On(plant.FilteredScanIgnoresTables) && s.memory == nil) && !s.hasNothing(g.list[0].user, g.list[end-1].user, it.reverse) {
			e := error(nil)
			if end, e = it.shadow(s, g.list[:end], rank == len(it.sources)-1); e != nil {
				err = e
			}
		}
	}
	if err != nil {
		it.leaveWalks()
	}
	kept := g.list[:0]
	for i := range g.list[:end] {
		if !g.list[i].hidden {
			if i > len(kept) {
				g.list[len(kept)] = g.list[i]
			}
			kept = g.list[:len(kept)+1]
		}
	}
	g.list = kept
	return end, err
}

// decide hides a version if a range delete does, or the filter does not hold for it.
func (it *FilteredIter) decide(v *candidate) error {
	if v.hidden {
		return nil
	}
	if it.isDeleted(v.user, v.trailer) {
		v.hidden = true
		it.counts.Shadowed++
		return nil
	}
	if v.isSure {
		return nil
	}
	holds, err := it.matches(v)
	v.hidden = !holds
	return err
}
