package item

import "encoding/binary"

// uvarint decodes a size or count from bytes that are known to be canonical
// and returns it with its width.
func uvarint(b []byte) (n, width int) {
	n, width = int(b[0]), 1
	if n >= 0x80 {
		n, width = uvarintLong(b)
	}
	return
}

// uvarintLong is kept out of line so that uvarint fits into its callers.
//
//go:noinline
func uvarintLong(b []byte) (n, width int) {
	x, width := binary.Uvarint(b)
	return int(x), width
}

func uvarintWidth(n int) int {
	width := 1
	for ; n >= 0x80; n >>= 7 {
		width++
	}
	return width
}

func appendUvarint(dst []byte, n int) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.AppendUvarint(dst, uint64(n))
}
