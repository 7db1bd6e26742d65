package vlog

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/statordb/stator/internal/vfs"
)

// Options are the choices of a writer.
type Options struct {
	// Number names the file. It is in every pointer, and mixed into every checksum.
	Number uint64

	// Codec compresses values that it shrinks by an eighth. Default None: read in
	// place.
	Codec Codec
}

// chunkBytes is how much a Writer gathers before it writes.
const chunkBytes = 256 << 10

// A Writer writes one value file: from the start, without gaps, nothing twice. The
// file stays the caller's: to close, to make its name durable, to remove after an
// error.
//
// After an error a Writer refuses everything with that error. It is not safe for
// concurrent use.
type Writer struct {
	f       vfs.File
	o       Options
	meta    Meta // Size is not up to date; see Size
	err     error
	pending []byte // written to the file next
	start   int64  // offset of pending in the file
	encoder encoder
}

var errFinished = errors.New("vlog: the file is finished")

// NewWriter writes a value file into f, which must be empty.
func NewWriter(f vfs.File, o Options) *Writer {
	return &Writer{f: f, o: o, meta: Meta{Number: o.Number, version: 1}, encoder: encoder{codec: o.Codec}}
}

// Add appends a record and returns the pointer to it.
func (w *Writer) Add(user, value []byte) (Pointer, error) {
	switch {
	case w.err != nil:
		return Pointer{}, w.err
	case len(user) > MaxKeyBytes || len(value) > MaxValueBytes:
		return Pointer{}, fmt.Errorf("vlog: key of %d and value of %d bytes", len(user), len(value))
	}
	stored, codec, err := w.encoder.encode(value)
	if err != nil {
		w.err = fmt.Errorf("vlog: encode a value: %w", err)
		return Pointer{}, w.err
	}
	h := header{stored: uint32(len(stored)), raw: uint32(len(value)), keyBytes: uint16(len(user)), codec: codec}
	p := Pointer{File: w.o.Number, Offset: w.offset(), Size: h.recordBytes()}
	if err := w.append(h, user, stored); err != nil {
		w.err = fmt.Errorf("vlog: write file %d: %w", w.o.Number, err)
		return Pointer{}, w.err
	}
	m := &w.meta
	m.Records++
	m.KeyBytes += uint64(len(user))
	m.ValueBytes += uint64(len(value))
	m.version = max(m.version, codec.version())
	if size := uint32(p.Size); m.Least == 0 || size < m.Least {
		m.Least = size
	}
	return p, nil
}

// append brings a record into the file. A value larger than a chunk is written from
// where it lies.
func (w *Writer) append(h header, user, stored []byte) error {
	start := len(w.pending)
	w.pending = h.append(w.pending)
	w.pending = append(w.pending, user...)
	sum := crc32.Update(0, crcs, w.pending[start+4:])
	sum = crc32.Update(sum, crcs, stored) ^ place(w.o.Number, w.start+int64(start))
	little.PutUint32(w.pending[start:], sum)
	if len(stored) < chunkBytes {
		w.pending = append(w.pending, stored...)
		if len(w.pending) < chunkBytes {
			return nil
		}
		return w.writePending()
	}
	if err := w.writePending(); err != nil {
		return err
	}
	_, err := w.f.WriteAt(stored, w.start)
	w.start += int64(len(stored))
	return err
}

func (w *Writer) writePending() error {
	_, err := w.f.WriteAt(w.pending, w.start)
	w.start += int64(len(w.pending))
	w.pending = w.pending[:0]
	return err
}

// offset is where the next record will lie.
func (w *Writer) offset() uint64 { return uint64(w.start) + uint64(len(w.pending)) }

// Size is how large the file would be if it were finished now.
func (w *Writer) Size() uint64 { return w.offset() + footerBytes }

// Finish completes the file and makes its bytes durable.
func (w *Writer) Finish() (Meta, error) {
	if w.err != nil {
		return Meta{}, w.err
	}
	w.meta.Size = w.Size()
	w.pending = w.meta.appendFooter(w.pending)
	err := w.writePending()
	if err == nil {
		err = w.f.Sync()
	}
	if err != nil {
		w.err = fmt.Errorf("vlog: finish file %d: %w", w.o.Number, err)
		return Meta{}, w.err
	}
	w.err = errFinished
	return w.meta, nil
}
