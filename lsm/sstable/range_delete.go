package sstable

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/statordb/stator/lsm/key"
)

// A RangeDelete hides every version of the user keys in [Start, End) that is
// older than Seq.
type RangeDelete struct {
	Start, End []byte
	Seq        key.SeqNum
}

// String prints "[a, c)#7".
func (d RangeDelete) String() string {
	return fmt.Sprintf("[%s, %s)#%d", key.Format(d.Start), key.Format(d.End), d.Seq)
}

// smallest and largest bound d as internal keys.
func (d RangeDelete) smallest() key.Internal {
	return key.Internal{User: d.Start, Trailer: key.MakeTrailer(d.Seq, key.RangeDelete)}
}

func (d RangeDelete) largest() key.Internal {
	return key.Internal{User: d.End, Trailer: key.MaxTrailer}
}

func (d RangeDelete) compare(e RangeDelete) int {
	if c := bytes.Compare(d.Start, e.Start); c != 0 {
		return c
	}
	if c := cmp.Compare(e.Seq, d.Seq); c != 0 {
		return c
	}
	return bytes.Compare(d.End, e.End)
}

// The range delete block lists range deletes as they were given, neither split
// nor joined where they overlap, by start ascending, then by sequence number
// descending, then by end ascending:
//
//	seq 8B | start length 4B | end length 4B | start | end
const rangeDeleteHeaderBytes = 16

func appendRangeDeletes(dst []byte, deletes []RangeDelete) []byte {
	for _, d := range deletes {
		dst = little.AppendUint64(dst, uint64(d.Seq))
		dst = little.AppendUint32(dst, uint32(len(d.Start)))
		dst = little.AppendUint32(dst, uint32(len(d.End)))
		dst = append(dst, d.Start...)
		dst = append(dst, d.End...)
	}
	return dst
}

// parseRangeDeletes decodes payload into deletes that do not alias it; reason
// says why it cannot.
func parseRangeDeletes(payload []byte) (deletes []RangeDelete, reason string) {
	b := bytes.Clone(payload)
	for len(b) > 0 {
		if len(b) < rangeDeleteHeaderBytes {
			return nil, "range delete is cut off"
		}
		d := RangeDelete{Seq: key.SeqNum(little.Uint64(b))}
		start, end := uint64(little.Uint32(b[8:])), uint64(little.Uint32(b[12:]))
		b = b[rangeDeleteHeaderBytes:]
		if start+end > uint64(len(b)) {
			return nil, "range delete is cut off"
		}
		d.Start, d.End, b = b[:start:start], b[start:start+end:start+end], b[start+end:]
		if bytes.Compare(d.Start, d.End) >= 0 || d.Seq > key.MaxSeqNum {
			return nil, fmt.Sprintf("range delete %v makes no sense", d)
		}
		deletes = append(deletes, d)
	}
	if !slices.IsSortedFunc(deletes, RangeDelete.compare) {
		return nil, "range deletes are not sorted"
	}
	return deletes, ""
}
