package vlog

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A Codec says how a value is stored. The numbers are part of the format.
type Codec uint8

// The codecs.
const (
	None Codec = 0 // as it is
	S2   Codec = 1 // S2 block format
	Zstd Codec = 2 // a frame of RFC 8878; since version 2
)

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case S2:
		return "s2"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// version is the first format version that has c.
func (c Codec) version() uint32 {
	if c <= S2 {
		return 1
	}
	return 2
}

// An encoder encodes the values of one file.
type encoder struct {
	codec   Codec
	zstd    *zstd.Encoder // nil before first use
	scratch []byte
}

// encode returns value as it is to be stored, until the next call, and the codec used: none
// unless the value shrinks by an eighth.
func (e *encoder) encode(value []byte) (stored []byte, used Codec, err error) {
	switch e.codec {
	case S2:
		n := s2.MaxEncodedLen(len(value))
		e.scratch = slices.Grow(e.scratch[:0], n)
		stored = s2.Encode(e.scratch[:n], value)
	case Zstd:
		if e.zstd == nil {
			if e.zstd, err = newZstdEncoder(); err != nil {
				return nil, None, err
			}
		}
		e.scratch = e.zstd.EncodeAll(value, e.scratch[:0])
		stored = e.scratch
	default:
		return value, None, nil
	}
	if len(stored) > len(value)-len(value)/8 {
		return value, None, nil
	}
	return stored, e.codec, nil
}

// zstdWindow is how far zstd looks back. Most values are smaller.
const zstdWindow = 256 << 10

func newZstdEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(zstdWindow))
}

// A Decoder decodes values. The files of a database share one, as it has memory that it
// reuses. The zero Decoder is ready for use; it is safe for concurrent use.
type Decoder struct {
	zstd atomic.Pointer[zstd.Decoder] // nil before first use
}

// ready returns the decoder of zstd. It has no goroutines, so one made in vain may just go.
func (d *Decoder) ready() (*zstd.Decoder, error) {
	if z := d.zstd.Load(); z != nil {
		return z, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	if d.zstd.CompareAndSwap(nil, z) {
		return z, nil
	}
	z.Close()
	return d.zstd.Load(), nil
}

// maxRatio bounds how much zstd may grow what is stored: more than it can. A size beyond it is
// damage, and nothing is allocated.
const maxRatio = 1 << 16

// append appends the value that was stored by c; reason says why it cannot. Nothing
// is allocated on the word of a size that the stored bytes do not confirm.
func (d *Decoder) append(dst, stored []byte, c Codec, raw int) (value []byte, reason string) {
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
	case Zstd:
		if raw > maxRatio*len(stored) {
			return dst, fmt.Sprintf("value of %d stored bytes says it had %d", len(stored), raw)
		}
		z, err := d.ready()
		if err != nil {
			return dst, err.Error()
		}
		dst = slices.Grow(dst, raw)
		end := len(dst) + raw
		out, err := z.DecodeAll(stored, dst[len(dst):len(dst):end])
		if err != nil || len(out) != raw {
			return dst, fmt.Sprintf("value decodes to %d bytes (%v), says %d", len(out), err, raw)
		}
		return dst[:end], ""
	}
	return dst, fmt.Sprintf("value is stored by %v", c)
}
