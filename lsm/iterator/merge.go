package iterator

import (
	"bytes"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/key"
)

// A Merge is the sorted union of its sources, itself a Source.
//
// It is a loser tree: the leaves are the sources, each inner node remembers
// which of two subtrees' winners lost there, and node 0 names the overall
// winner, the current entry. Advancing the winner replays only its own path to
// the root, log2(n) comparisons.
//
//	     0: winner
//	     1: loser
//	 2: loser   3: loser
//	s0    s1   s2    s3
//
// Sources tend to win several times in a row (a level of the engine holds long
// runs of neighbours). So once a source has won twice, the runner-up is
// remembered, and while the new entry stays ahead of it, one comparison does. And
// of a source that shows a stretch of entries, all that lie ahead of the runner-up
// are found at once: they are a run, within which a step needs none.
//
// Equal internal keys do not occur in one database. If they did, the earlier
// source would come first going forward, and last in reverse; callers pass
// newer sources first.
//
// The zero Merge has no sources and is empty. A Merge is not safe for
// concurrent use. Moving allocates nothing.
type Merge struct {
	leaves  []leaf
	losers  []int // losers[0] is the winner; the rest as drawn above
	runner  int   // the second best source while known, else -1
	reverse bool  // the tree is ordered for moving backward
	placed  bool  // an absolute move has been made
	err     error

	// stretch is the winner's. Going forward, its items behind the current one and
	// before end come next; going backward, those before the current one from
	// first on. Their user keys are strictly ahead of all other sources.
	stretch    *Stretch
	first, end int
}

// A leaf is one source and its current entry.
//
// Invariant: the entry is the stretch's item at At, unless the leaf is the winner:
// its At moves without the copies in user and trailer.
type leaf struct {
	source  Source
	skipper Skipper  // the source, if it is one
	stretch *Stretch // the source's own, or plain
	plain   Stretch  // of a source that shows none: the current entry alone
	user    []byte
	trailer key.Trailer
	live    bool // the source stands on an entry
}

// New merges sources, newest first. The Merge closes them when it is closed.
func New(sources ...Source) *Merge {
	m := new(Merge)
	m.Init(sources...)
	return m
}

// Init makes m a merge over sources, reusing m's memory. m must be zero or
// closed.
func (m *Merge) Init(sources ...Source) {
	leaves, losers := slices.Grow(m.leaves[:0], len(sources)), m.losers[:0]
	for i, s := range sources {
		leaves = leaves[:i+1]
		leaves[i].init(s)
		losers = append(losers, 0)
	}
	*m = Merge{leaves: leaves, losers: losers, runner: -1}
}

// init makes l the leaf of a source, reusing l's memory. l must not be moved
// afterwards.
func (l *leaf) init(s Source) {
	*l = leaf{source: s, plain: Stretch{Items: l.plain.Items[:0]}}
	l.skipper, _ = s.(Skipper)
	if t, ok := s.(Stretched); ok {
		l.stretch = t.Stretch()
		return
	}
	l.plain.Items = append(l.plain.Items, Item{})
	l.stretch = &l.plain
}

// First goes to the first entry of all.
func (m *Merge) First() bool { return m.place(false, Source.First) }

// Last goes to the last entry of all.
func (m *Merge) Last() bool { return m.place(true, Source.Last) }

// SeekGE goes to the first entry not less than (user, key.SeekTrailer(seq)).
func (m *Merge) SeekGE(user []byte, seq key.SeqNum) bool {
	m.start(false)
	for i := range m.leaves {
		if !m.load(i, m.leaves[i].source.SeekGE(user, seq)) {
			return false
		}
	}
	return m.build()
}

// SeekLT goes to the last entry whose user key is less than user.
func (m *Merge) SeekLT(user []byte) bool {
	m.start(true)
	for i := range m.leaves {
		if !m.load(i, m.leaves[i].source.SeekLT(user)) {
			return false
		}
	}
	return m.build()
}

// Next goes to the following entry.
func (m *Merge) Next() bool {
	if m.end > 0 && !m.reverse && m.stretch.At+1 < m.end {
		m.stretch.At++
		return true
	}
	return m.next()
}

func (m *Merge) next() bool {
	if !m.placed {
		return m.First()
	}
	if m.reverse {
		return m.turn(false, Source.Next, Source.First)
	}
	w, ok := m.winner()
	if !ok {
		return false
	}
	l := &m.leaves[w]
	if l.stretch.At+1 < len(l.stretch.Items) {
		l.stretch.At++
		return m.advance(w, true)
	}
	return m.advance(w, l.source.Next())
}

// Skip goes to a following entry as Next does, but may leave out entries that have the
// user key of the current one. A caller who wants none of them calls it as long as there
// are.
func (m *Merge) Skip() bool {
	if w, ok := m.winner(); ok && !m.reverse {
		if s := m.leaves[w].skipper; s != nil {
			return m.advance(w, s.Skip())
		}
	}
	return m.Next()
}

// SkipBack goes to a preceding entry as Prev does, but may leave out entries that have the
// user key of the current one and that a reader at seq does not see.
func (m *Merge) SkipBack(seq key.SeqNum) bool {
	if w, ok := m.winner(); ok && m.reverse {
		if s := m.leaves[w].skipper; s != nil {
			return m.advance(w, s.SkipBack(seq))
		}
	}
	return m.Prev()
}

// Prev goes to the preceding entry.
func (m *Merge) Prev() bool {
	if m.reverse && m.end > 0 && m.stretch.At > m.first {
		m.stretch.At--
		return true
	}
	return m.prev()
}

func (m *Merge) prev() bool {
	if !m.placed {
		return m.Last()
	}
	if !m.reverse {
		return m.turn(true, Source.Prev, Source.Last)
	}
	w, ok := m.winner()
	if !ok {
		return false
	}
	l := &m.leaves[w]
	if l.stretch.At > 0 {
		l.stretch.At--
		return m.advance(w, true)
	}
	return m.advance(w, l.source.Prev())
}

// Run returns the stretch of the source that the current entry comes from, and which
// of its items around the current one come out next: those in (At, end) going
// forward, those in [first, At) going backward. No other source has entries of
// their user keys, other than newer ones that it has got meanwhile. The caller may
// move At within the run instead of calling Next or Prev, which go on from there.
//
// end is 0 if the run is not known.
func (m *Merge) Run() (s *Stretch, first, end int) { return m.stretch, m.first, m.end }

// Key is the current internal key.
func (m *Merge) Key() (user []byte, t key.Trailer) {
	e := m.stretch.item()
	return e.User, e.Trailer
}

// Value is the current value.
func (m *Merge) Value() []byte { return m.stretch.item().Value }

// Item is the current entry, valid like Key and Value. The caller must not change it.
func (m *Merge) Item() *Item { return m.stretch.item() }

// Index is the position, in the list given to New, of the source that the
// current entry comes from.
func (m *Merge) Index() int { return m.losers[0] }

// Err is the first error of the last absolute move and those after it.
func (m *Merge) Err() error { return m.err }

// Close closes the sources and returns the first error of doing so.
func (m *Merge) Close() error {
	var first error
	for i := range m.leaves {
		if err := m.leaves[i].source.Close(); err != nil && first == nil {
			first = err
		}
		clear(m.leaves[i].plain.Items)
		m.leaves[i] = leaf{plain: Stretch{Items: m.leaves[i].plain.Items[:0]}}
	}
	*m = Merge{leaves: m.leaves[:0], losers: m.losers[:0], runner: -1}
	return first
}

func (m *Merge) place(reverse bool, move func(Source) bool) bool {
	m.start(reverse)
	for i := range m.leaves {
		if !m.load(i, move(m.leaves[i].source)) {
			return false
		}
	}
	return m.build()
}

func (m *Merge) start(reverse bool) {
	m.err = nil
	m.placed = true
	m.reverse = reverse
	m.first, m.end = 0, 0
}

// load takes over leaf i's entry after its source moved and reports whether the
// merge is still sound: a source that failed must not look exhausted, or its
// entries would be missing from the union.
func (m *Merge) load(i int, live bool) bool {
	l := &m.leaves[i]
	l.live = live
	if live {
		if l.stretch == &l.plain {
			e := &l.plain.Items[0]
			e.User, e.Trailer = l.source.Key()
			e.Value = l.source.Value()
		}
		e := l.stretch.item()
		l.user, l.trailer = e.User, e.Trailer
		return true
	}
	l.user = nil
	if err := l.source.Err(); err != nil {
		m.fail(err)
		return false
	}
	return true
}

// fail stops the merge: no entry is current until the next absolute move.
func (m *Merge) fail(err error) {
	m.err = err
	m.first, m.end = 0, 0
	for i := range m.leaves {
		m.leaves[i].live = false
	}
}

// build plays all matches anew, from the leaves to the root.
func (m *Merge) build() bool {
	n := len(m.leaves)
	m.runner = -1
	for i := range m.losers {
		m.losers[i] = -1
	}
	for i := range n {
		m.enter(i)
	}
	if n == 0 {
		return false
	}
	if n == 1 {
		m.findRun()
	}
	m.stretch = m.leaves[m.losers[0]].stretch
	return m.leaves[m.losers[0]].live
}

// enter plays leaf i upward until it meets a node that nobody has reached: it
// waits there for the winner of the other subtree, or is the overall winner.
func (m *Merge) enter(i int) {
	for node := (len(m.leaves) + i) / 2; node > 0; node /= 2 {
		waiting := m.losers[node]
		if waiting < 0 {
			m.losers[node] = i
			return
		}
		if m.before(waiting, i) {
			m.losers[node], i = i, waiting
		}
	}
	m.losers[0] = i
}

// winner is the leaf of the current entry, if there is one.
func (m *Merge) winner() (w int, ok bool) {
	if len(m.leaves) == 0 {
		return 0, false
	}
	w = m.losers[0]
	return w, m.leaves[w].live
}

// advance finds the successor of winner w, whose source has just moved.
func (m *Merge) advance(w int, live bool) bool {
	m.first, m.end = 0, 0
	if !m.load(w, live) {
		return false
	}
	if live && m.runner >= 0 && (m.before(w, m.runner) || plant.On(plant.RunnerUpNotAsked)) {
		m.findRun()
		return true
	}
	m.replay(w)
	m.stretch = m.leaves[m.losers[0]].stretch
	return m.leaves[m.losers[0]].live
}

// replay plays the matches on leaf w's path after its entry changed.
func (m *Merge) replay(w int) {
	winner := w
	for node := (len(m.leaves) + w) / 2; node > 0; node /= 2 {
		if m.before(m.losers[node], winner) {
			m.losers[node], winner = winner, m.losers[node]
		}
	}
	m.losers[0] = winner
	m.runner = -1
	if winner == w {
		m.runner = m.second(w)
		m.findRun()
	}
}

// findRun finds which items of the winner's stretch are ahead of the runner-up, which
// is known, or -1 because there is no other source.
func (m *Merge) findRun() {
	w := &m.leaves[m.losers[0]]
	if !w.live {
		return
	}
	m.first, m.end = 0, len(w.stretch.Items)
	if m.runner < 0 || !m.leaves[m.runner].live {
		return
	}
	if limit := m.leaves[m.runner].user; m.reverse {
		m.first = w.stretch.firstAbove(limit)
	} else {
		m.end = w.stretch.EndBelow(limit)
	}
}

// second finds the runner-up of winner w: it lost to w itself, so it waits on
// w's path. It is -1 if w is alone.
func (m *Merge) second(w int) int {
	best := -1
	for node := (len(m.leaves) + w) / 2; node > 0; node /= 2 {
		if l := m.losers[node]; best < 0 || m.before(l, best) {
			best = l
		}
	}
	return best
}

// turn switches direction. Every source that is not the winner stands just past
// the current entry on the old side, so one step brings it to the new side; an
// exhausted one comes back in from its end.
//
// A source that others write to meanwhile (the memtable) may offer new entries
// between; those are stepped over, as the snapshot of the reader is older.
func (m *Merge) turn(reverse bool, step, enter func(Source) bool) bool {
	if len(m.leaves) == 0 || m.err != nil {
		return false
	}
	m.reverse = reverse
	m.first, m.end = 0, 0
	w := m.losers[0]
	if m.leaves[w].live {
		m.load(w, true) // it may have moved within its run
	}
	current := m.leaves[w]
	for i := range m.leaves {
		l := &m.leaves[i]
		if i == w && l.live {
			continue // still stands on the current entry; moved last, below
		}
		move := enter
		if l.live {
			move = step
		}
		ok := m.load(i, move(l.source))
		for ok && l.live && current.live && !m.after(l, i, &current, w) {
			ok = m.load(i, step(l.source))
		}
		if !ok {
			return false
		}
	}
	if current.live && !m.load(w, step(current.source)) {
		return false
	}
	return m.build()
}

// before reports whether leaf a's entry comes out earlier than leaf b's in the
// direction of movement; exhausted leaves come last.
func (m *Merge) before(a, b int) bool {
	la, lb := &m.leaves[a], &m.leaves[b]
	if !la.live || !lb.live {
		return la.live
	}
	return m.after(lb, b, la, a)
}

// after reports whether entry a of source i lies behind entry b of source j in
// the direction of movement.
func (m *Merge) after(a *leaf, i int, b *leaf, j int) bool {
	c := bytes.Compare(a.user, b.user)
	if c == 0 {
		c = key.CompareTrailer(a.trailer, b.trailer)
	}
	if c == 0 {
		c = i - j
	}
	return (c > 0) != m.reverse
}
