package lsm

import (
	"bytes"
	"sort"

	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

// A walk goes over all entries of a newer source beside the groups of the oldest one. A
// newer source often has few entries, and the versions of a group lie so close together
// that hardly any of them come in between. Then to look at those costs less than to ask
// for every version of the group.
//
// Invariant: while it is placed, the source has no entry between the last group and the
// one on which it stands.
type walk struct {
	source iterator.Source // nil as long as it does not pay
	asked  int             // versions for which the newer source was asked without it
	pause  int             // groups for which it is not tried
	failed bool            // there is damage, and asking finds out where
	placed bool
	stands bool
	pivot  []byte
}

// When walks are tried.
const (
	walkFrom  = 512 // versions asked for before, and as many as a memtable that may have to be sorted has
	walkShare = 2   // a group of n versions is worth n/walkShare steps
	walkPause = 64  // groups, after one that was not worth it
)

// shadowByWalk is shadow by a walk, and reports whether that was done.
func (it *FilteredIter) shadowByWalk(newer *newerSource, list []candidate) bool {
	w := &newer.walk
	if !w.isWorthwhile(newer, it, len(list)) {
		return false
	}
	if !w.placed {
		w.place(list[0].user, it)
	}
	i := 0
	for range len(list)/walkShare + 1 {
		if !w.stands {
			return !w.fails(w.source.Err() != nil)
		}
		user, t := w.source.Key()
		if w.fails(t == damageMark) {
			return false
		}
		i += firstFromIn(list[i:], user, it.reverse)
		if i == len(list) {
			return true
		}
		for k := i; t.SeqNum() <= it.seq && k < len(list) && bytes.Equal(list[k].user, user); k++ {
			if !list[k].hidden {
				list[k].hidden = true
				it.counts.Shadowed++
			}
		}
		w.step(it.reverse)
	}
	w.placed, w.pause = false, walkPause
	return false
}

// isWorthwhile reports whether to walk beside a group of n, and opens the source if it is
// time to.
func (w *walk) isWorthwhile(newer *newerSource, it *FilteredIter, n int) bool {
	switch {
	case w.failed:
		return false
	case w.pause > 0:
		w.pause--
		return false
	case w.source != nil:
		return true
	}
	w.asked += n
	if w.asked < walkFrom || newer.memory != nil && w.asked < newer.memory.Len() {
		return false
	}
	if newer.memory != nil {
		w.source = newer.memory.NewIter()
	} else {
		l := newLevelIter(newer.tables, it.lower, it.upper)
		l.marks = true
		w.source = l
	}
	return true
}

// place goes to the first entry from user on.
func (w *walk) place(user []byte, it *FilteredIter) {
	w.placed = true
	if it.reverse {
		w.pivot = append(append(w.pivot[:0], user...), 0)
		w.stands = w.source.SeekLT(w.pivot)
		return
	}
	w.stands = w.source.SeekGE(user, key.MaxSeqNum)
}

func (w *walk) step(reverse bool) {
	if reverse {
		w.stands = w.source.Prev()
	} else {
		w.stands = w.source.Next()
	}
}

// leaveWalks says that the next groups do not follow the last one.
func (it *FilteredIter) leaveWalks() {
	for i := range it.newer {
		it.newer[i].walk.placed = false
	}
}

func (w *walk) close() {
	if w.source != nil {
		w.source.Close()
		w.source = nil
	}
}

func (w *walk) fails(now bool) bool {
	w.failed = w.failed || now
	return w.failed
}

// firstFromIn returns the first of list, which is in the order of keys or the reverse,
// that does not come before user.
func firstFromIn(list []candidate, user []byte, reverse bool) int {
	isFrom := func(i int) bool {
		c := bytes.Compare(list[i].user, user)
		return c == 0 || (c > 0) != reverse
	}
	if n := len(list); n == 0 || !isFrom(n-1) {
		return n
	}
	return sort.Search(len(list), isFrom)
}
