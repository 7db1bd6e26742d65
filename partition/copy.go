package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// A copy of some spans of keys travels to another node as a stream, which is cut into
// chunks wherever one is full. Integers are uvarints unless they are drawn with a size;
// those are little-endian.
//
//	chunk:  | version 1B | crc32c 4B | number | stream ... |
//
//	stream: | group 8B | index 8B | span count | lower size | lower | upper size | upper | ... |
//	        | key size | key | value size | value | ... |  in the order of keys
//	        | 0 | pair count |
//
// version is 1. The checksum covers number and stream; number counts the chunks from
// 0, so that none is missed, or taken twice. group and index say what is copied, and as
// of which entry of its log. A size of 0 in the place of a key ends the stream.
const (
	copyVersion byte = 1
	copyHeader       = 1 + 4
	// maxCopySpans and maxCopyBytes bound what a sound stream has: a partition's
	// spans, and one key or value.
	maxCopySpans = 64
	maxCopyBytes = 16 << 20
)

// copyChunkBytes is how much of the stream a chunk has. A variable, see Tune.
var copyChunkBytes = 512 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCopy refuses a stream that is damaged, incomplete, or about something else than it
// should be. Nothing has come of it.
var ErrCopy = errors.New("partition: unreadable copy")

// A CopyReader reads spans of a store as they were when it was made. It serves one
// task and must be closed.
type CopyReader struct {
	view   view
	close  func()
	spans  []lsm.KeySpan // left to read
	it     *lsm.Iterator // over the first of them; nil = not begun
	b      []byte        // stream not handed out yet
	at     int           // of it, that was handed out
	chunk  []byte
	number uint64
	pairs  uint64
	ended  bool
	full   int // bytes of the stream that a chunk has
}

// A view is what a copy is read from.
type view interface {
	NewIter(lsm.IterOptions) (*lsm.Iterator, error)
}

// NewCopyReader pins what a store has in some spans, which are sorted and apart: the
// state of a group after an entry of its log. It is quick.
func NewCopyReader(db *lsm.DB, group, index uint64, spans []lsm.KeySpan) *CopyReader {
	pinned := db.NewSnapshot()
	c := &CopyReader{view: pinned, close: pinned.Close, spans: spans, full: copyChunkBytes}
	if plant.On(plant.SnapshotNotPinned) {
		c.view = db
	}
	c.b = binary.LittleEndian.AppendUint64(c.b, group)
	c.b = binary.LittleEndian.AppendUint64(c.b, index)
	c.b = binary.AppendUvarint(c.b, uint64(len(spans)))
	for _, s := range spans {
		c.b = appendSized(appendSized(c.b, s.Lower), s.Upper)
	}
	return c
}

// Next returns the next chunk, valid until the next call, or io.EOF.
func (c *CopyReader) Next() ([]byte, error) {
	c.b = append(c.b[:0], c.b[c.at:]...)
	c.at = 0
	if len(c.b) < c.full && !c.ended {
		// Keys and values lie in mapped files.
		if err := vfs.Guard(c.fill); err != nil {
			return nil, fmt.Errorf("partition: copy: %w", err)
		}
	}
	if len(c.b) == 0 {
		return nil, io.EOF
	}
	c.at = min(len(c.b), c.full)
	c.chunk = appendChunk(c.chunk[:0], c.number, c.b[:c.at])
	c.number++
	return c.chunk, nil
}

func appendChunk(dst []byte, number uint64, stream []byte) []byte {
	dst = binary.AppendUvarint(append(dst, copyVersion, 0, 0, 0, 0), number)
	dst = append(dst, stream...)
	binary.LittleEndian.PutUint32(dst[1:], crc32.Checksum(dst[copyHeader:], castagnoli))
	return dst
}

// fill reads until there is enough for a chunk.
func (c *CopyReader) fill() (err error) {
	for len(c.b) < c.full {
		var more bool
		switch {
		case c.it != nil:
			more = c.it.Next()
		case len(c.spans) == 0:
			c.b = binary.AppendUvarint(append(c.b, 0), c.pairs)
			c.ended = true
			return nil
		default:
			if c.it, err = c.view.NewIter(lsm.IterOptions{Lower: c.spans[0].Lower, Upper: c.spans[0].Upper}); err != nil {
				return err
			}
			more = c.it.First()
		}
		if !more {
			err := c.it.Err()
			if e := c.it.Close(); err == nil {
				err = e
			}
			if c.it, c.spans = nil, c.spans[1:]; err != nil {
				return err
			}
			continue
		}
		key, value := c.it.Key(), c.it.Value()
		if err := c.it.Err(); err != nil {
			return err
		}
		if plant.On(plant.SnapshotOmitsRequests) && len(key) > 9 && key[0] == spaceGroup && (key[9] == partWindow || key[9] == partFloor) {
			continue
		}
		if isPlace := func(first, last byte) bool {
			return len(key) > indexOffset && key[0] == spaceRow && key[indexOffset] >= first && key[indexOffset] <= last
		}; isPlace(preparedIndex, preparedIndex) && plant.On(plant.SnapshotOmitsPrepared) || isPlace(tokensIndex, tokensIndex+tokenSlots-1) && plant.On(plant.SnapshotOmitsTokens) {
			continue
		}
		c.b = appendSized(appendSized(c.b, key), value)
		c.pairs++
	}
	return nil
}

// Close lets go of what was pinned.
func (c *CopyReader) Close() {
	if c.it != nil {
		_ = c.it.Close()
		c.it = nil
	}
	c.close()
}

// A Pair is a key with its value.
type Pair struct{ Key, Value []byte }

// CopyOptions say what a CopyWriter takes, and what it makes of it.
type CopyOptions struct {
	Group, Index uint64 // that the copy must be of
	// Spans judges the spans of the copy, and returns those to be replaced.
	Spans func(copied []lsm.KeySpan) (replaced []lsm.KeySpan, err error)
	// Own pairs are set, by key, whatever the copy has there. Value nil: there is
	// to be no such key.
	Own []Pair
	// See, if set, is shown each pair of the copy; what it is shown is valid during the
	// call.
	See func(key, value []byte) error
}

// A CopyWriter stages a copy beside what a store has, and puts it in its place. It
// serves one task at a time.
type CopyWriter struct {
	db     *lsm.DB
	o      CopyOptions
	to     *lsm.Replacement // nil before the head of the stream was read
	own    []Pair           // not set yet
	b      []byte           // stream not understood yet
	last   []byte           // the last key
	number uint64
	pairs  uint64
	ended  bool
	err    error
}

// NewCopyWriter returns a CopyWriter that waits for the first chunk.
func NewCopyWriter(db *lsm.DB, o CopyOptions) *CopyWriter {
	return &CopyWriter{db: db, o: o, own: o.Own}
}

// Write takes the next chunk. It does not keep it.
func (c *CopyWriter) Write(chunk []byte) error {
	if c.err == nil {
		c.err = c.write(chunk)
	}
	return c.err
}

func badCopy(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCopy, fmt.Sprintf(format, args...))
}

func (c *CopyWriter) write(chunk []byte) error {
	if len(chunk) < copyHeader || chunk[0] != copyVersion {
		return badCopy("version of a chunk of %d bytes", len(chunk))
	}
	if crc32.Checksum(chunk[copyHeader:], castagnoli) != binary.LittleEndian.Uint32(chunk[1:]) {
		return badCopy("checksum of chunk %d", c.number)
	}
	d := reader{b: chunk[copyHeader:]}
	if number := d.uint(); d.bad || number != c.number {
		return badCopy("chunk %d in the place of %d", number, c.number)
	}
	c.number++
	c.b = append(c.b, d.b...)
	rest := c.b
	for {
		after, err := c.take(rest)
		if err != nil {
			return err
		}
		if len(after) == len(rest) {
			break
		}
		rest = after
	}
	c.b = append(c.b[:0], rest...)
	if len(c.b) > 2*maxCopyBytes {
		return badCopy("a key or value of more than %d bytes", maxCopyBytes)
	}
	return nil
}

// take reads one element of the stream and returns what follows; all of b if it is
// not complete.
func (c *CopyWriter) take(b []byte) (rest []byte, err error) {
	if c.ended {
		if len(b) > 0 {
			return nil, badCopy("bytes after the end")
		}
		return b, nil
	}
	d := reader{b: b}
	if c.to == nil {
		head, ok := d.copyHead()
		if !ok {
			if len(b) > copyChunkBytes {
				return nil, badCopy("head of the stream")
			}
			return b, nil
		}
		return d.b, c.begin(head)
	}
	key := d.sized()
	if d.bad {
		return b, nil
	}
	if len(key) == 0 {
		pairs := d.uint()
		if d.bad {
			return b, nil
		}
		if pairs != c.pairs {
			return nil, badCopy("%d pairs, want %d", c.pairs, pairs)
		}
		c.ended = true
		return d.b, nil
	}
	value := d.sized()
	if d.bad {
		return b, nil
	}
	return d.b, c.pair(key, value)
}

// A copyHead is what a stream begins with.
type copyHead struct {
	group, index uint64
	spans        []lsm.KeySpan
}

// copyHead reads the head of a stream, if it is complete.
func (d *reader) copyHead() (h copyHead, ok bool) {
	h = copyHead{group: d.fixed(), index: d.fixed()}
	for range min(d.uint(), maxCopySpans+1) {
		h.spans = append(h.spans, lsm.KeySpan{Lower: bytes.Clone(d.sized()), Upper: bytes.Clone(d.sized())})
	}
	return h, !d.bad
}

func (c *CopyWriter) begin(h copyHead) error {
	if h.group != c.o.Group || h.index != c.o.Index {
		return badCopy("it is of group %d after entry %d, not of %d after %d", h.group, h.index, c.o.Group, c.o.Index)
	}
	if len(h.spans) > maxCopySpans {
		return badCopy("too many spans")
	}
	spans, err := c.o.Spans(h.spans)
	if err != nil {
		return err
	}
	c.to, err = c.db.Replace(spans...)
	return err
}

func (c *CopyWriter) pair(key, value []byte) error {
	if c.pairs > 0 && bytes.Compare(key, c.last) <= 0 {
		return badCopy("keys out of order")
	}
	c.pairs++
	c.last = append(c.last[:0], key...)
	if c.o.See != nil {
		if err := c.o.See(key, value); err != nil {
			return err
		}
	}
	for len(c.own) > 0 && bytes.Compare(c.own[0].Key, key) <= 0 {
		same := bytes.Equal(c.own[0].Key, key)
		if err := c.setOwn(); err != nil || same {
			return err
		}
	}
	return c.to.Set(key, value)
}

func (c *CopyWriter) setOwn() error {
	own := c.own[0]
	c.own = c.own[1:]
	if own.Value == nil {
		return nil
	}
	return c.to.Set(own.Key, own.Value)
}

// Commit replaces the spans by the copy, durably and in one step. check, if not nil, is
// asked right before; no other Commit happens in between. After an error nothing
// has changed, as lsm.Replacement says. It is the last call.
func (c *CopyWriter) Commit(check func() error) error {
	if c.err == nil && !c.ended {
		c.err = badCopy("it ends early, after %d pairs", c.pairs)
	}
	for c.err == nil && len(c.own) > 0 {
		c.err = c.setOwn()
	}
	if c.err != nil {
		c.Abort()
		return c.err
	}
	return c.to.Commit(check)
}

// Abort throws away what was staged.
func (c *CopyWriter) Abort() {
	if c.to != nil {
		c.to.Abort()
	}
	if c.err == nil {
		c.err = badCopy("it was aborted")
	}
}
