package raftlog

import (
	"slices"
	"sort"

	"github.com/statordb/stator/lsm/wal"
)

// A span says where a run of a group's entries is: consecutive indexes of one
// term in one segment. It costs four bytes per entry.
type span struct {
	segment wal.SegmentID
	first   EntryID  // of the first entry
	offsets []uint32 // of the entries' records in the segment; never empty
}

func (s *span) end() uint64 { return s.first.Index + uint64(len(s.offsets)) }

func (s *span) last() EntryID { return EntryID{s.end() - 1, s.first.Term} }

// A release is a number of entries that a segment need not keep for the sake
// of applying them.
type release struct {
	segment wal.SegmentID
	entries int
}

// spans are a group's entries on disk, by ascending index without gaps.
type spans []span

// add appends one entry.
func (ss *spans) add(id EntryID, pos wal.Position) {
	if n := len(*ss); n > 0 {
		if s := &(*ss)[n-1]; s.segment == pos.Segment && s.first.Term == id.Term {
			s.offsets = append(s.offsets, uint32(pos.Offset))
			return
		}
	}
	*ss = append(*ss, span{pos.Segment, id, []uint32{uint32(pos.Offset)}})
}

// find returns the span that holds index, or nil.
func (ss spans) find(index uint64) *span {
	i := sort.Search(len(ss), func(i int) bool { return ss[i].end() > index })
	if i == len(ss) || ss[i].first.Index > index {
		return nil
	}
	return &ss[i]
}

// position returns where an entry in the span is.
func (s *span) position(index uint64) wal.Position {
	return wal.Position{Segment: s.segment, Offset: int64(s.offsets[index-s.first.Index])}
}

// count appends to dst how many entries of [lower, upper] each segment holds.
func (ss spans) count(dst []release, lower, upper uint64) []release {
	for i := len(ss) - 1; i >= 0 && ss[i].end() > lower; i-- {
		s := &ss[i]
		from, to := max(lower, s.first.Index), min(upper, s.end()-1)
		if from <= to {
			dst = append(dst, release{s.segment, int(to - from + 1)})
		}
	}
	return dst
}

// cutAfter drops the entries from index on.
func (ss *spans) cutAfter(index uint64) {
	for n := len(*ss); n > 0 && (*ss)[n-1].end() > index; n = len(*ss) {
		s := &(*ss)[n-1]
		if s.first.Index < index {
			s.offsets = s.offsets[:index-s.first.Index]
			return
		}
		*ss = (*ss)[:n-1]
	}
}

// cutThrough drops the entries up to index.
func (ss *spans) cutThrough(index uint64) {
	n := 0
	for n < len(*ss) && (*ss)[n].end() <= index+1 {
		n++
	}
	*ss = slices.Delete(*ss, 0, n)
	if len(*ss) > 0 && (*ss)[0].first.Index <= index {
		s := &(*ss)[0]
		s.offsets = s.offsets[index+1-s.first.Index:]
		s.first.Index = index + 1
	}
}

// cutBefore drops the entries in segments before oldest and returns the last
// of them, if there were any.
func (ss *spans) cutBefore(oldest wal.SegmentID) (last EntryID, ok bool) {
	n := 0
	for n < len(*ss) && (*ss)[n].segment < oldest {
		last, ok = (*ss)[n].last(), true
		n++
	}
	*ss = slices.Delete(*ss, 0, n)
	return last, ok
}
