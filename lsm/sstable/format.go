package sstable

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/statordb/stator/lsm/corrupt"
)

// Format version 2. Integers are little-endian unless said otherwise.
//
// A table is blocks without gaps, then a footer:
//
//	+------------+-----+------------+--------+----------+---------+---------+-------+------------+-----------+--------+
//	| data block | ... | dictionary | filter | prefixes | range   | bitmaps | index | properties | directory | footer |
//	|            |     |            |        |          | deletes |         |       |            |           | 64 B   |
//	+------------+-----+------------+--------+----------+---------+---------+-------+------------+-----------+--------+
//
// The directory says where each section starts. Dictionary, filter, prefixes,
// range deletes and bitmaps are absent when there is nothing to put into them; a table may
// have no data. A reader skips sections of a kind it does not know; what it must
// understand raises the version instead.
//
// Version 2 is version 1 with codecs from 2 on and the dictionary. A table without
// them is written as version 1.
//
// Every block, of whatever kind, starts with the same envelope:
//
//	 0 checksum  4B  crc32c of the rest of the block, mixed with its place
//	 4 size      4B  of the whole block: envelope, payload, padding
//	 8 raw size  4B  of the payload once decoded
//	12 kind      1B
//	13 codec     1B  how the payload is encoded (codec.go); 0: not at all
//	14 padding   2B  number of zero bytes behind the payload
//	16 payload
//
// The checksum is crc32c(block[4:]) XOR fold(number × 0x9E3779B97F4A7C15 +
// offset), where number is the table's, offset the block's in the file and fold
// the XOR of the two halves of a 64-bit integer. So a block that is sound in
// itself, but lies in the wrong place or is left over from another table, does
// not pass.
//
// Padding lets the following data block start on a page or cache line; readers
// need not care.
//
// The footer is found from the end of the file:
//
//	 0 checksum     4B  as above, over footer[4:64]
//	 4 version      4B
//	 8 number       8B  of the table; chosen by the writer
//	16 file size    8B
//	24 directory    8B  offset
//	32 directory    4B  size
//	36 zero        20B
//	56 magic        8B  "StatorST"
const (
	maxVersion  = 2
	magic       = "StatorST"
	footerBytes = 64

	envelopeBytes = 16
	maxBlockBytes = 1<<32 - 1
)

// A section is one part of the file, named by the kind of its blocks.
type section uint8

// The kinds of block.
const (
	sectionData         section = 1
	sectionFilter       section = 2
	sectionRangeDeletes section = 3
	sectionIndex        section = 4
	sectionProperties   section = 5
	sectionDirectory    section = 6
	sectionDictionary   section = 7
	sectionBitmaps      section = 8 // lsm/facet draws the payload
	sectionPrefixes     section = 9 // prefix.go
)

func (s section) String() string {
	names := [...]string{"unknown", "data", "filter", "range deletes", "index", "properties", "directory", "dictionary", "bitmaps", "prefixes"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[0]
}

var (
	little = binary.LittleEndian
	crcs   = crc32.MakeTable(crc32.Castagnoli)
)

// checksum of b, the part of a block or footer behind its checksum field.
func checksum(b []byte, number uint64, offset int64) uint32 {
	place := number*0x9E3779B97F4A7C15 + uint64(offset)
	return crc32.Update(0, crcs, b) ^ uint32(place) ^ uint32(place>>32)
}

// An envelope is the decoded head of a block.
type envelope struct {
	rawBytes int
	kind     section
	codec    codec
	padding  int
}

// seal fills in the envelope of block, which spans envelope, payload and
// padding and will lie at offset.
func seal(block []byte, e envelope, number uint64, offset int64) {
	little.PutUint32(block[4:], uint32(len(block)))
	little.PutUint32(block[8:], uint32(e.rawBytes))
	block[12] = byte(e.kind)
	block[13] = byte(e.codec)
	little.PutUint16(block[14:], uint16(e.padding))
	little.PutUint32(block, checksum(block[4:], number, offset))
}

// codecOf says how the payload of a block is encoded.
func codecOf(block []byte) codec { return codec(block[13]) }

// check tests everything that an envelope promises about block, which lies at
// offset. It returns nil if the block is sound.
func (r *Reader) check(block []byte, kind section, offset int64) error {
	if len(block) < envelopeBytes {
		return corrupt.New(r.name, offset, "%v block of %d bytes", kind, len(block))
	}
	stored, want := little.Uint32(block), checksum(block[4:], r.number, offset)
	if stored != want {
		return corrupt.New(r.name, offset, "checksum of %v block is %08x, want %08x", kind, stored, want)
	}
	if size := little.Uint32(block[4:]); int64(size) != int64(len(block)) {
		return corrupt.New(r.name, offset, "%v block says %d bytes, has %d", kind, size, len(block))
	}
	if got := section(block[12]); got != kind {
		return corrupt.New(r.name, offset, "block is %v, want %v", got, kind)
	}
	return r.checkPadding(block, kind, offset)
}

func (r *Reader) checkPadding(block []byte, kind section, offset int64) error {
	padding := int(little.Uint16(block[14:]))
	stored := len(block) - envelopeBytes - padding
	if stored < 0 {
		return corrupt.New(r.name, offset, "%v block of %d bytes has %d of padding", kind, len(block), padding)
	}
	if raw := little.Uint32(block[8:]); codecOf(block) == codecNone && int64(raw) != int64(stored) {
		return corrupt.New(r.name, offset, "%v block says %d bytes of payload, has %d", kind, raw, stored)
	}
	for _, c := range block[len(block)-padding:] {
		if c != 0 {
			return corrupt.New(r.name, offset, "padding of %v block is not zero", kind)
		}
	}
	return nil
}
