package vlog

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"
)

// A Codec says how a value is stored. The numbers are those of the blocks of tables.
type Codec uint8

// The codecs.
const (
	None Codec = 0
	S2   Codec = 1
)

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case S2:
		return "s2"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// encode returns value as c stores it, in scratch, and the codec used: none unless
// the value shrinks by an eighth.
func (c Codec) encode(value, scratch []byte) (stored, grown []byte, used Codec) {
	if c != S2 {
		return value, scratch, None
	}
	n := s2.MaxEncodedLen(len(value))
	scratch = slices.Grow(scratch[:0], n)
	if stored = s2.Encode(scratch[:n], value); len(stored) > len(value)-len(value)/8 {
		return value, scratch, None
	}
	return stored, scratch, S2
}

// appendDecoded appends the value that was stored; reason says why it cannot. Nothing
// is allocated on the word of a size that the stored bytes do not confirm.
func (c Codec) appendDecoded(dst, stored []byte, raw int) (value []byte, reason string) {
	switch c {
	case None:
		return append(dst, stored...), ""
	case S2:
		if n, err := s2.DecodedLen(stored); err != nil || n != raw {
			return dst, fmt.Sprintf("value decodes to %d bytes (%v), says %d", n, err, raw)
		}
		dst = slices.Grow(dst, raw)
		end := len(dst) + raw
		if _, err := s2.Decode(dst[len(dst):end:end], stored); err != nil {
			return dst, fmt.Sprintf("value does not decode: %v", err)
		}
		return dst[:end], ""
	}
	return dst, fmt.Sprintf("value is stored by %v", c)
}
