package lsm

import (
	"bytes"
	"slices"

	"github.com/statordb/stator/lsm/filter"
)

// A newerSource is a memtable, or tables side by side, as a place where newer versions
// of a key may be.
type newerSource struct {
	memory *memory
	tables []*table
	at     int // the table asked last
	walk   walk
}

// hasNothing reports whether it can be told without a closer look that there are no
// versions of keys between first and last, or in reverse, between last and first.
func (n *newerSource) hasNothing(first, last []byte, reverse bool) bool {
	if n.memory != nil {
		return false
	}
	if reverse {
		first, last = last, first
	}
	i := firstNotBefore(n.tables, first)
	if i == len(n.tables) || bytes.Compare(last, n.tables[i].span.Start) < 0 {
		return true
	}
	n.at = i
	return false
}

// find returns the table whose span holds user, or nil.
func (n *newerSource) find(user []byte) *table {
	if t := n.tables[n.at]; t.span.Contains(user) {
		return t
	}
	i := firstNotBefore(n.tables, user)
	if i == len(n.tables) || !n.tables[i].span.Contains(user) {
		return nil
	}
	n.at = i
	return n.tables[i]
}

// shadow hides the versions, in the order of keys or the reverse, of which newer has a
// version that the iterator sees, value or tombstone. It returns the number of those for
// which that could be found out. isOldest says that list is of the oldest source, which
// mostly has the most.
func (it *FilteredIter) shadow(newer *newerSource, list []candidate, isOldest bool) (n int, err error) {
	if isOldest && it.shadowByWalk(newer, list) {
		return len(list), nil
	}
	for i := range list {
		if v := &list[i]; v.hash == 0 {
			v.hash = filter.Hash(v.user)
		}
	}
	if newer.memory != nil {
		it.shadowByMemory(newer.memory, list)
		return len(list), nil
	}
	for n < len(list) && err == nil {
		part := list[n:]
		t := newer.find(part[0].user)
		if t == nil {
			n++
			continue
		}
		end := len(part)
		if !t.span.Contains(part[end-1].user) {
			end = 1
			for t.span.Contains(part[end].user) {
				end++
			}
		}
		end, err = it.shadowByTable(t, part[:end])
		n += end
	}
	return n, err
}

func (it *FilteredIter) shadowByMemory(m *memory, list []candidate) {
	touched := uint64(0)
	for i := range list { // asks for all cache lines at once
		touched ^= m.Touch(list[i].hash)
	}
	it.touched = touched
	for i := range list {
		v := &list[i]
		if v.hidden {
			continue
		}
		if _, _, found := m.Get(v.user, v.hash, it.seq); found {
			v.hidden = true
			it.counts.Shadowed++
		}
	}
}

// shadowByTable first asks the filter about all of the list, and then the table about the
// few that are left. The keys are within its span.
func (it *FilteredIter) shadowByTable(t *table, list []candidate) (n int, err error) {
	first := slices.IndexFunc(list, func(v candidate) bool { return !v.hidden })
	if first < 0 {
		return len(list), nil
	}
	if t.reader == nil {
		return first, t.unreadable()
	}
	f, err := t.reader.Filter()
	if err != nil {
		return first, err
	}
	touched := byte(0)
	for i := range list { // asks for all cache lines at once
		touched ^= f.Touch(list[i].hash)
	}
	it.touched = uint64(touched)
	var maybe [maxGroup]uint8
	left := 0
	for i := range list {
		maybe[left] = uint8(i)
		if f.MayContain(list[i].hash) {
			left++
		}
	}
	for _, i := range maybe[:left] {
		v := &list[i]
		if v.hidden {
			continue
		}
		found, err := t.reader.Has(v.user, v.hash, it.seq)
		if err != nil {
			return int(i), err
		}
		if found {
			v.hidden = true
			it.counts.Shadowed++
		}
	}
	return len(list), nil
}
