package vlog

import (
	"encoding/binary"
	"hash/crc32"
)

// Format version 2. Integers are little-endian.
//
// A value file is records without gaps, then a footer:
//
//	+--------+--------+-----+--------+
//	| record | record | ... | footer |
//	|        |        |     |  64 B  |
//	+--------+--------+-----+--------+
//
// A record:
//
//	 0 checksum  4B  crc32c of record[4:], mixed with its place
//	 4 stored    4B  bytes of the value as it is stored
//	 8 raw       4B  bytes of the value once decoded
//	12 key size  2B
//	14 codec     1B  how the value is stored: 0 as it is, 1 S2, 2 zstd
//	15 zero      1B
//	16 user key, then the stored value
//
// The footer, found from the end of the file:
//
//	 0 checksum     4B  as above, of footer[4:64]
//	 4 version      4B
//	 8 number       8B  of the file; chosen by the writer
//	16 file size    8B
//	24 records      8B  count
//	32 key bytes    8B  of all records
//	40 value bytes  8B  of all values, once decoded
//	48 least        4B  bytes of the smallest record; 0 if there is none
//	52 zero         4B
//	56 magic        8B  "StatorVL"
//
// Version 2 is version 1 with zstd. A file without it is written as version 1.
//
// A checksum is mixed with its place as those of tables are: crc32c XOR both halves
// of number × 0x9E3779B97F4A7C15 + offset. So a record that is sound in itself,
// but lies in another place or file, does not pass.
const (
	maxVersion  = 2
	magic       = "StatorVL"
	headerBytes = 16
	footerBytes = FooterBytes
)

// FooterBytes is how much larger a file is than its records.
const FooterBytes = 64

// Limits of a record.
const (
	MaxKeyBytes   = 1<<16 - 1
	MaxValueBytes = 1 << 30
)

var (
	little = binary.LittleEndian
	crcs   = crc32.MakeTable(crc32.Castagnoli)
)

// place is what a checksum at offset of file number is mixed with.
func place(number uint64, offset int64) uint32 {
	p := number*0x9E3779B97F4A7C15 + uint64(offset)
	return uint32(p) ^ uint32(p>>32)
}

func checksum(b []byte, number uint64, offset int64) uint32 {
	return crc32.Update(0, crcs, b) ^ place(number, offset)
}

// A header is the decoded head of a record.
type header struct {
	checksum uint32
	stored   uint32
	raw      uint32
	keyBytes uint16
	codec    Codec
	zero     byte
}

func (h header) append(dst []byte) []byte {
	dst = little.AppendUint32(dst, h.checksum)
	dst = little.AppendUint32(dst, h.stored)
	dst = little.AppendUint32(dst, h.raw)
	dst = little.AppendUint16(dst, h.keyBytes)
	return append(dst, byte(h.codec), h.zero)
}

// parseHeader decodes the first headerBytes of b.
func parseHeader(b []byte) header {
	return header{
		checksum: little.Uint32(b), stored: little.Uint32(b[4:]), raw: little.Uint32(b[8:]),
		keyBytes: little.Uint16(b[12:]), codec: Codec(b[14]), zero: b[15],
	}
}

// recordBytes is the size of the whole record.
func (h header) recordBytes() uint64 {
	return headerBytes + uint64(h.keyBytes) + uint64(h.stored)
}

// Meta is what a writer knows about its file in the end; all but Size is in the
// footer as it is.
type Meta struct {
	Number     uint64
	Size       uint64 // of the file, in bytes
	Records    uint64
	KeyBytes   uint64
	ValueBytes uint64 // before compression
	Least      uint32 // bytes of the smallest record
	version    uint32 // of the format
}

// RecordBytes is the size of all records: of the file without the footer.
func (m Meta) RecordBytes() uint64 { return m.Size - footerBytes }

func (m Meta) appendFooter(dst []byte) []byte {
	start := len(dst)
	dst = little.AppendUint32(dst, 0)
	dst = little.AppendUint32(dst, m.version)
	for _, n := range []uint64{m.Number, m.Size, m.Records, m.KeyBytes, m.ValueBytes} {
		dst = little.AppendUint64(dst, n)
	}
	dst = little.AppendUint32(dst, m.Least)
	dst = little.AppendUint32(dst, 0)
	dst = append(dst, magic...)
	little.PutUint32(dst[start:], checksum(dst[start+4:], m.Number, int64(m.Size)-footerBytes))
	return dst
}

func parseFooter(b []byte) (m Meta, sum, zero uint32, name string) {
	m = Meta{
		Number: little.Uint64(b[8:]), Size: little.Uint64(b[16:]), Records: little.Uint64(b[24:]),
		KeyBytes: little.Uint64(b[32:]), ValueBytes: little.Uint64(b[40:]), Least: little.Uint32(b[48:]),
		version: little.Uint32(b[4:]),
	}
	return m, little.Uint32(b), little.Uint32(b[52:]), string(b[56:])
}
