package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// A row is the stored value of one item.
//
//	+-----------+---------------+----------------+
//	| format 1B | timestamp 8B  | item ...       |
//	+-----------+---------------+----------------+
//
//	+-----------+---------------+----------+-------------+----------+
//	| format 1B | timestamp 8B  | count 1B | mark 2B ... | item ... |  with facets
//	+-----------+---------------+----------+-------------+----------+
//
// format is 1 or, in a table with facets, 2; the marks, 1 to 8 and big-endian, are
// those of the item's facets (facets.go). The timestamp is big-endian and says when the item was last
// written; it grows with every write of the same key. The item is in the binary
// form of package item, which is canonical. The store's block checksums guard
// the bytes.
const (
	rowFormat       byte = 1
	rowFormatFacets byte = 2
	rowOverhead          = 1 + 8
)

// ErrFormat reports stored bytes that this version cannot read.
var ErrFormat = errors.New("partition: unreadable record")

// appendRow appends the row of an item or entry.
func (s *Schema) appendRow(dst []byte, ts txn.Timestamp, it item.Item) []byte {
	if len(s.Facets) == 0 {
		return appendRow(dst, ts, it)
	}
	dst = binary.BigEndian.AppendUint64(append(dst, rowFormatFacets), uint64(ts))
	dst = append(dst, byte(len(s.Facets)))
	for _, name := range s.Facets {
		dst = binary.BigEndian.AppendUint16(dst, facetMark(it, name))
	}
	return append(dst, it...)
}

// appendRow appends the row of an item without facets.
func appendRow(dst []byte, ts txn.Timestamp, it item.Item) []byte {
	dst = append(dst, rowFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(ts))
	return append(dst, it...)
}

// decodeRow splits a row; the item aliases b. Only the frame is checked: the
// item was checked before it was written, and the store verifies its blocks.
func decodeRow(b []byte) (txn.Timestamp, item.Item, error) {
	at := rowOverhead
	if len(b) > 0 && b[0] == rowFormatFacets {
		marks, ok := rowMarks(b)
		if !ok {
			return 0, nil, fmt.Errorf("%w: marks of a row of %d bytes", ErrFormat, len(b))
		}
		at += 1 + len(marks)
	} else if len(b) < rowOverhead || b[0] != rowFormat {
		return 0, nil, fmt.Errorf("%w: row of %d bytes", ErrFormat, len(b))
	}
	return txn.Timestamp(binary.BigEndian.Uint64(b[1:])), item.Item(b[at:]), nil
}

// rowMarks returns the marks of a row with facets, two bytes for each.
func rowMarks(b []byte) (marks []byte, ok bool) {
	if len(b) <= rowOverhead || b[0] != rowFormatFacets {
		return nil, false
	}
	count, rest := int(b[rowOverhead]), b[rowOverhead+1:]
	if count == 0 || count > MaxFacets || len(rest) < 2*count {
		return nil, false
	}
	return rest[:2*count], true
}
