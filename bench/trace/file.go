package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"time"

	"github.com/statordb/stator/bench/drive"
)

// A trace is a header and blocks of records; see docs/formats/trace.md. Integers are little-endian,
// numbers in records are uvarints.
//
//	+-------------------+----------+--------------+     +---------+-----------+-------------+
//	| "stator trace 1\n"| flags 1B | start ms 8B  |     | size 4B | crc32c 4B | records ... |
//	+-------------------+----------+--------------+     +---------+-----------+-------------+
//	                 header                                        block
//
//	+---------+----------------+------+-----+----------------+------------+
//	| kind 1B | µs since last  | size | key | bytes written  |   length   |
//	+---------+----------------+------+-----+----------------+------------+
//	                            record
//
// A block that is cut off, or whose checksum is wrong, ends the trace: a killed server
// leaves one.
const magic = "stator trace 1\n"

const (
	headerBytes = len(magic) + 1 + 8
	hashedKeys  = 1 // flag
	blockBytes  = 32 << 10
	maxBlock    = 1 << 20
	maxKey      = 4 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A ReadError reports bytes that are no trace.
type ReadError struct {
	Offset int64
	Reason string
}

func (e *ReadError) Error() string { return fmt.Sprintf("trace, at byte %d: %s", e.Offset, e.Reason) }

// An entry is one record.
type entry struct {
	at     time.Duration // from the start
	kind   drive.Kind
	key    []byte
	size   int
	length int
}

// A writer appends records. It is not safe for concurrent use.
type writer struct {
	w     io.Writer
	block []byte
	last  time.Duration
}

func newWriter(w io.Writer, start time.Time, hashed bool) (*writer, error) {
	head := append([]byte(magic), 0)
	if hashed {
		head[len(magic)] = hashedKeys
	}
	head = binary.LittleEndian.AppendUint64(head, uint64(start.UnixMilli()))
	_, err := w.Write(head)
	return &writer{w: w}, err
}

func (w *writer) add(e entry) error {
	kind := slices.Index(drive.Kinds, e.kind)
	if kind < 0 {
		return fmt.Errorf("unknown kind %q", e.kind)
	}
	step := max(0, (e.at - w.last).Microseconds())
	w.last += time.Duration(step) * time.Microsecond
	b := append(w.block, byte(kind))
	b = binary.AppendUvarint(b, uint64(step))
	b = binary.AppendUvarint(b, uint64(len(e.key)))
	b = append(b, e.key...)
	b = binary.AppendUvarint(b, uint64(max(0, e.size)))
	b = binary.AppendUvarint(b, uint64(max(0, e.length)))
	if w.block = b; len(b) >= blockBytes {
		return w.flush()
	}
	return nil
}

func (w *writer) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(w.block)))
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(w.block, castagnoli))
	_, err := w.w.Write(append(head, w.block...))
	w.block = w.block[:0]
	return err
}

// A Trace is what was recorded.
type Trace struct {
	Start  time.Time
	Hashed bool
	Cut    bool // the end is missing: the server was killed
	Keys   int  // different ones; events count them in the order of their first appearance
	Events []drive.Event
}

// Read reads a trace. Bytes that are no trace at all are a *ReadError.
func Read(r io.Reader) (*Trace, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head := make([]byte, headerBytes)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, &ReadError{0, "not a trace of version 1"}
	}
	if head[len(magic)]&^hashedKeys != 0 {
		return nil, &ReadError{int64(len(magic)), "unknown flags"}
	}
	t := &Trace{Hashed: head[len(magic)] == hashedKeys, Start: time.UnixMilli(int64(binary.LittleEndian.Uint64(head[len(magic)+1:])))}
	numbers, at, offset := map[string]uint64{}, time.Duration(0), int64(headerBytes)
	for {
		block, err := readBlock(in)
		if errors.Is(err, io.EOF) {
			t.Keys = len(numbers)
			return t, nil
		}
		if err != nil {
			t.Keys, t.Cut = len(numbers), true
			return t, nil
		}
		for rest := block; len(rest) > 0; {
			var e entry
			if e, rest, err = parseEntry(rest); err != nil {
				return nil, &ReadError{offset, err.Error()}
			}
			at += e.at
			n, known := numbers[string(e.key)]
			if !known {
				n = uint64(len(numbers))
				numbers[string(e.key)] = n
			}
			t.Events = append(t.Events, drive.Event{At: at, Kind: e.kind, Key: n, Size: e.size, Length: e.length})
		}
		offset += int64(8 + len(block))
	}
}

func readBlock(in io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err // io.EOF only before the first byte
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size == 0 || size > maxBlock {
		return nil, errors.New("a block of a wrong size")
	}
	block := make([]byte, size)
	if _, err := io.ReadFull(in, block); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if crc32.Checksum(block, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errors.New("a block with a wrong checksum")
	}
	return block, nil
}

// parseEntry reads one record; its time is that since the one before.
func parseEntry(b []byte) (e entry, rest []byte, err error) {
	if int(b[0]) >= len(drive.Kinds) || drive.Kinds[b[0]] == drive.Simulate { // nobody asks a server for that
		return e, nil, fmt.Errorf("unknown kind %d", b[0])
	}
	e.kind, b = drive.Kinds[b[0]], b[1:]
	number := func(most uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			err = errors.New("a number that is cut off or too large")
			return 0
		}
		b = b[n:]
		return v
	}
	e.at = time.Duration(number(uint64(24*time.Hour/time.Microsecond))) * time.Microsecond
	size := int(number(maxKey))
	if err != nil || size > len(b) {
		return e, nil, errors.New("a key that is cut off")
	}
	e.key, b = b[:size], b[size:]
	e.size, e.length = int(number(drive.MaxValueBytes)), int(number(1_000_000))
	return e, b, err
}

// Open reads the trace in a file.
func Open(name string) (*Trace, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Read(f)
	if err == nil && len(t.Events) == 0 {
		err = errors.New("it has no operations")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}
