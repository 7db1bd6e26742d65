package vlog

import (
	"encoding/binary"
	"fmt"
)

// A Pointer says where a record lies. Encoded it is the value of a table entry of
// kind key.ValuePointer: three uvarints in their shortest form,
//
//	file number | offset | size
type Pointer struct {
	File   uint64
	Offset uint64
	Size   uint64 // of the whole record
}

// MaxPointerBytes is the largest size of an encoded pointer.
const MaxPointerBytes = 3 * binary.MaxVarintLen64

// String prints "000012@1051+2080".
func (p Pointer) String() string { return fmt.Sprintf("%06d@%d+%d", p.File, p.Offset, p.Size) }

// Append appends the encoded pointer.
func (p Pointer) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, p.File)
	dst = binary.AppendUvarint(dst, p.Offset)
	return binary.AppendUvarint(dst, p.Size)
}

// DecodePointer decodes exactly what Append wrote.
func DecodePointer(b []byte) (p Pointer, ok bool) {
	for _, field := range [...]*uint64{&p.File, &p.Offset, &p.Size} {
		n := 0
		if *field, n = binary.Uvarint(b); n <= 0 || n > 1 && b[n-1] == 0 {
			return Pointer{}, false
		}
		b = b[n:]
	}
	return p, len(b) == 0
}
