package sstable

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/statordb/stator/lsm/corrupt"
)

// Compression is how a writer stores data blocks.
type Compression uint8

// The choices. S2 costs reads least, Zstd and ZstdDict space.
const (
	None     Compression = iota // read in place
	S2                          // github.com/klauspost/compress/s2, block format
	Zstd                        // RFC 8878
	ZstdDict                    // Zstd with a dictionary trained from the table's first blocks
)

func (c Compression) String() string {
	names := [...]string{"none", "s2", "zstd", "zstd-dict"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("compression %d", uint8(c))
}

// A codec says how the payload of a block is stored. The numbers are part of
// the format.
//
// Codecs from 2 on store a data block's payload stripped (strip.go):
//
//	count 2B | stream: the stripped payload, encoded
type codec uint8

const (
	codecNone     codec = 0
	codecS2Whole  codec = 1 // the whole payload; written by version 1 only
	codecS2       codec = 2
	codecZstd     codec = 3
	codecZstdDict codec = 4 // with the table's dictionary
)

func (c codec) String() string {
	names := [...]string{"none", "s2 whole", "s2", "zstd", "zstd with dictionary"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// version is the first format version that has c.
func (c codec) version() uint32 {
	if c <= codecS2Whole {
		return 1
	}
	return 2
}

// maxRatio bounds how much a stream may grow when it is decoded: more than
// either codec can do. A size beyond it is damage, and nothing is allocated.
const maxRatio = 1 << 16

// An encoder encodes the data blocks of one table.
type encoder struct {
	choice     Compression
	zstd       *zstd.Encoder
	dictionary []byte // as BuildDict made it; nil: none
	stripped   []byte
}

// newZstd makes the encoder for zstd, once it is known whether there is a
// dictionary.
func (e *encoder) newZstd() error {
	options := []zstd.EOption{
		zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(zstdWindow),
	}
	if e.dictionary != nil {
		options = append(options, zstd.WithEncoderDict(e.dictionary))
	}
	var err error
	e.zstd, err = zstd.NewWriter(nil, options...)
	return err
}

// zstdWindow is how far zstd looks back. Blocks are smaller, but for the largest values.
const zstdWindow = 128 << 10

// appendTo appends the encoded payload of a data block to dst, or the payload
// as it is if encoding it does not save an eighth.
func (e *encoder) appendTo(dst, payload []byte) ([]byte, codec, error) {
	start := len(dst)
	e.stripped = appendStripped(e.stripped[:0], payload)
	dst = append(dst, payload[24:26]...) // count
	var used codec
	switch {
	case e.choice == S2:
		at := len(dst)
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(e.stripped)))
		dst = dst[:at+len(s2.Encode(dst[at:cap(dst)], e.stripped))]
		used = codecS2
	default:
		if e.zstd == nil {
			if err := e.newZstd(); err != nil {
				return dst, 0, err
			}
		}
		dst = e.zstd.EncodeAll(e.stripped, dst)
		used = codecZstd
		if e.dictionary != nil {
			used = codecZstdDict
		}
	}
	if len(dst)-start > len(payload)-len(payload)/8 {
		return append(dst[:start], payload...), codecNone, nil
	}
	return dst, used, nil
}

// decode decodes block b, which lies at offset, into scratch, which may be nil
// and is returned grown.
func (r *Reader) decode(b []byte, offset int64, scratch []byte) (data, grown []byte, err error) {
	raw, stream, c := int(little.Uint32(b[8:])), payload(b), codecOf(b)
	count := 0
	if c >= codecS2 {
		if len(stream) < 2 {
			return nil, scratch, corrupt.New(r.name, offset, "data block of %d encoded bytes", len(stream))
		}
		count, stream = int(little.Uint16(stream)), stream[2:]
	}
	gap := strippedGap(count)
	if c == codecS2Whole {
		gap = 0
	}
	if raw < gap || raw > maxRatio*(len(stream)+1) {
		return nil, scratch, corrupt.New(r.name, offset, "data block of %d encoded bytes says it had %d", len(stream), raw)
	}
	scratch = sized(scratch, raw)
	data = scratch
	by := &r.pool.plain
	if c == codecZstdDict {
		if by, err = r.decoderWithDictionary(); err != nil {
			return nil, scratch, err
		}
	}
	if err := r.pool.decode(by, data[gap:], stream, c); err != nil {
		return nil, scratch, corrupt.New(r.name, offset, "data block does not decode: %v", err)
	}
	if c >= codecS2 && !restore(data, count) {
		return nil, scratch, corrupt.New(r.name, offset, "data block decodes to nonsense")
	}
	return data, scratch, nil
}
