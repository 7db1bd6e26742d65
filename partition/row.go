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
// format is 1. The timestamp is big-endian and says when the item was last
// written; it grows with every write of the same key. The item is in the binary
// form of package item, which is canonical. The store's block checksums guard
// the bytes.
const (
	rowFormat   byte = 1
	rowOverhead      = 1 + 8
)

// ErrFormat reports stored bytes that this version cannot read.
var ErrFormat = errors.New("partition: unreadable record")

func appendRow(dst []byte, ts txn.Timestamp, it item.Item) []byte {
	dst = append(dst, rowFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(ts))
	return append(dst, it...)
}

// decodeRow splits a row; the item aliases b. Only the frame is checked: the
// item was checked before it was written, and the store verifies its blocks.
func decodeRow(b []byte) (txn.Timestamp, item.Item, error) {
	if len(b) < rowOverhead || b[0] != rowFormat {
		return 0, nil, fmt.Errorf("%w: row of %d bytes", ErrFormat, len(b))
	}
	return txn.Timestamp(binary.BigEndian.Uint64(b[1:])), item.Item(b[rowOverhead:]), nil
}
