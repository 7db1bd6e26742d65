package txn

import (
	"encoding/binary"
	"fmt"
)

// An ID names a transaction for good: the life of the node that coordinates it, and when
// it was born by that node's Clock, which never says the same twice. A transaction that is
// tried again is another one.
//
// The zero ID is none.
type ID struct {
	Node uint64
	Born Timestamp
}

// IDBytes is the size of an ID as bytes.
const IDBytes = 8 + 8

// Append appends the ID as bytes, big-endian.
func (t ID) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, t.Node), uint64(t.Born))
}

// ReadID reads an ID from the first IDBytes of b.
func ReadID(b []byte) ID {
	return ID{Node: binary.BigEndian.Uint64(b), Born: Timestamp(binary.BigEndian.Uint64(b[8:]))}
}

// String returns node and birth, as in "1f@1700000000123+2".
func (t ID) String() string { return fmt.Sprintf("%x@%v", t.Node, t.Born) }
