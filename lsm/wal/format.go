package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/statordb/stator/internal/plant"
)

// A segment is a header block followed by records. Integers are little-endian.
//
//	+----------+------------+----------+-----------+-------+-----------+
//	| magic 8B | version 4B | flags 4B | number 8B | 0 ... | crc32c 4B |
//	+----------+------------+----------+-----------+-------+-----------+
//	                 header block: 4,096 bytes
//
//	+---------------+----------------+---------+-----------+---------+
//	| header crc 4B | payload crc 4B | size 4B | synced 4B | payload |
//	+---------------+----------------+---------+-----------+---------+
//	                 record: 16 + size bytes
//
// The header block's checksum covers the rest of the block. The block has a
// page of its own, so that no later write can tear it, and it is on disk before
// the file gets its name: a named segment with a bad header is damaged.
//
// A record's header crc covers the segment's number, the record's offset in the
// file, the payload crc, size and synced; so a record left over from an older
// use of the file never passes. synced is the offset up to which the segment was
// known to be durable when the record was written. Both are needed to tell
// a torn tail from damage: see scanner.tail.
//
// A record with size = endSize and no payload ends a segment that is complete.
// The segment with the highest number may lack it; any other must have it, unless all
// segments behind it are loose: begun by a lazy log before everything in front
// of them was durable. Then a power cut may have torn it.
const (
	magic       = "\x93SLOGv\r\n"
	version     = 1
	headerBytes = 4096

	// Overhead is how many bytes of the log a record needs besides its payload.
	Overhead = 16

	// MaxPayload is the largest payload of one record, in bytes.
	MaxPayload = 1 << 30

	endSize    = 1<<32 - 1
	maxSegment = 1<<32 - 1 // synced has 32 bits
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A SegmentID numbers a segment. Numbers start at 1 and are given
// out in order; only those of segments behind a torn one are given out again.
type SegmentID uint64

func (id SegmentID) String() string { return fmt.Sprintf("%06d", uint64(id)) }

// A Position is the place of one record.
type Position struct {
	Segment SegmentID
	Offset  int64 // of the record's header in the file
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.Segment, p.Offset) }

// Next returns where the record after one with this payload size begins, if
// both were written by the same Append.
func (p Position) Next(payloadBytes int) Position {
	return Position{p.Segment, p.Offset + recordBytes(payloadBytes)}
}

func recordBytes(payload int) int64 { return Overhead + int64(payload) }

const (
	segmentSuffix = ".log"
	spareSuffix   = ".spare" // not part of the log: being made, or to be reused
)

func segmentName(prefix string, id SegmentID) string { return prefix + id.String() + segmentSuffix }
func spareName(prefix string, id SegmentID) string   { return prefix + id.String() + spareSuffix }

// parseName splits a file name made by segmentName or spareName.
func parseName(prefix, name string) (id SegmentID, spare, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false, false
	}
	digits, spare := strings.CutSuffix(rest, spareSuffix)
	if !spare {
		if digits, ok = strings.CutSuffix(rest, segmentSuffix); !ok {
			return 0, false, false
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	id = SegmentID(n)
	if err != nil || n == 0 || id.String() != digits {
		return 0, false, false
	}
	return id, spare, true
}

// headerLoose in the flags of a header says that the records of earlier segments were
// perhaps not durable when this one was begun.
const headerLoose = 1

func encodeHeader(id SegmentID, isLoose bool) []byte {
	b := make([]byte, headerBytes)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	if isLoose {
		binary.LittleEndian.PutUint32(b[12:], headerLoose)
	}
	binary.LittleEndian.PutUint64(b[16:], uint64(id))
	binary.LittleEndian.PutUint32(b[headerBytes-4:], crc32.Checksum(b[:headerBytes-4], castagnoli))
	return b
}

// decodeHeader checks a header block. On failure reason says what is wrong.
func decodeHeader(b []byte) (id SegmentID, isLoose bool, reason string) {
	switch {
	case len(b) < headerBytes:
		return 0, false, "segment header is cut short"
	case crc32.Checksum(b[:headerBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[headerBytes-4:]):
		return 0, false, "segment header does not match its checksum"
	case string(b[:8]) != magic:
		return 0, false, "not a log segment"
	case binary.LittleEndian.Uint32(b[8:]) != version:
		return 0, false, fmt.Sprintf("unknown log version %d", binary.LittleEndian.Uint32(b[8:]))
	}
	flags := binary.LittleEndian.Uint32(b[12:])
	return SegmentID(binary.LittleEndian.Uint64(b[16:])), flags&headerLoose != 0, ""
}

// A recordHeader is the decoded fixed part of a record.
type recordHeader struct {
	payloadCRC uint32
	size       uint32 // of the payload; endSize marks the end of the segment
	synced     uint32
}

func (h recordHeader) isEnd() bool { return h.size == endSize }

// payloadBytes is how many bytes follow the header.
func (h recordHeader) payloadBytes() int64 {
	if h.isEnd() {
		return 0
	}
	return int64(h.size)
}

// A headerSum computes header crcs. It holds the bytes that they are computed
// of, because an array on the stack would escape at each call.
type headerSum [28]byte

// of covers the record's place as well as its fields.
func (s *headerSum) of(at Position, header []byte) uint32 {
	binary.LittleEndian.PutUint64(s[0:], uint64(at.Segment))
	binary.LittleEndian.PutUint64(s[8:], uint64(at.Offset))
	copy(s[16:], header[4:Overhead])
	if plant.On(plant.StaleRecordAccepted) {
		clear(s[:8])
	}
	return crc32.Checksum(s[:], castagnoli)
}

func (s *headerSum) append(dst []byte, at Position, h recordHeader) []byte {
	n := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, h.payloadCRC)
	dst = binary.LittleEndian.AppendUint32(dst, h.size)
	dst = binary.LittleEndian.AppendUint32(dst, h.synced)
	binary.LittleEndian.PutUint32(dst[n:], s.of(at, dst[n:]))
	return dst
}

func (s *headerSum) appendRecord(dst []byte, at Position, synced int64, payload []byte) []byte {
	h := recordHeader{crc32.Checksum(payload, castagnoli), uint32(len(payload)), uint32(synced)}
	return append(s.append(dst, at, h), payload...)
}

func (s *headerSum) appendEnd(dst []byte, at Position, synced int64) []byte {
	return s.append(dst, at, recordHeader{0, endSize, uint32(synced)})
}

// decode checks the fixed part of the record at a position. It accepts only
// what append can have produced.
func (s *headerSum) decode(b []byte, at Position) (h recordHeader, ok bool) {
	if len(b) < Overhead {
		return h, false
	}
	h.payloadCRC = binary.LittleEndian.Uint32(b[4:])
	h.size = binary.LittleEndian.Uint32(b[8:])
	h.synced = binary.LittleEndian.Uint32(b[12:])
	// The cheap tests come first: tail tries every byte offset.
	if int64(h.synced) > at.Offset || h.size > MaxPayload && !h.isEnd() || h.isEnd() && h.payloadCRC != 0 {
		return h, false
	}
	return h, binary.LittleEndian.Uint32(b) == s.of(at, b)
}
