package vlog

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/statordb/stator/internal/prefetch"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
)

// A Reader reads one value file, in place where it is mapped.
//
// A value that it returns aliases the mapping unless it was compressed, and is valid
// until Close; the caller sees to it that no read is under way and no value in use
// then. With a vfs.ReadMapping a record is read into the memory that the caller gives. As with tables, the caller puts a vfs.Guard around reads; Open and Verify
// have their own.
//
// A Reader is safe for concurrent use.
type Reader struct {
	name    string
	m       vfs.Mapping
	file    io.ReaderAt // nil if the file is really mapped
	meta    Meta
	decoder *Decoder

	// checked has one bit for each granule of the file, which is no larger than
	// the smallest record: so of the records that begin in a granule there is at
	// most one. The bit says that its checksum has been found right. Two readers
	// may both find a bit clear; then both check.
	checked      []atomic.Uint64
	granuleShift int
}

// Open opens the value file in m, which is called name in errors. The Reader takes
// over m if Open succeeds. Only the footer is read. A number other than
// that of the file is damage; 0 accepts any. Without a decoder it has its own.
func Open(m vfs.Mapping, name string, number uint64, d *Decoder) (r *Reader, err error) {
	if d == nil {
		d = new(Decoder)
	}
	err = vfs.Guard(func() error {
		r = &Reader{name: name, m: m, decoder: d}
		if m.Bytes() == nil {
			r.file, _ = m.(io.ReaderAt)
		}
		return r.open(number)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(number uint64) error {
	size := r.m.Size()
	at := size - footerBytes
	if at < 0 {
		return corrupt.New(r.name, 0, "file of %d bytes is too short for a value file", size)
	}
	b, err := r.view(at, footerBytes)
	if err != nil {
		return err
	}
	m, sum, zero, word := parseFooter(b)
	switch want := checksum(b[4:], m.Number, at); {
	case word != magic:
		return corrupt.New(r.name, at, "no value file: its last bytes are %q", word)
	case sum != want:
		return corrupt.New(r.name, at, "checksum of the footer is %08x, want %08x", sum, want)
	case m.version < 1 || m.version > maxVersion:
		return corrupt.New(r.name, at, "format version %d, this program reads 1 to %d", m.version, maxVersion)
	case m.Size != uint64(size):
		return corrupt.New(r.name, at, "file has %d bytes, says %d", size, m.Size)
	case number != 0 && m.Number != number:
		return corrupt.New(r.name, at, "this is value file %d, want %d", m.Number, number)
	case zero != 0 || (m.Least < headerBytes) != (m.Records == 0) || m.Records > m.Size/headerBytes:
		return corrupt.New(r.name, at, "footer makes no sense: %+v", m)
	}
	r.meta = m
	r.granuleShift = max(0, bits.Len32(m.Least)-1)
	if m.Records > 0 {
		r.checked = make([]atomic.Uint64, m.RecordBytes()>>r.granuleShift/64+1)
	}
	return nil
}

func (r *Reader) view(offset int64, n int) ([]byte, error) {
	b, err := r.m.View(offset, n)
	if err != nil {
		return nil, fmt.Errorf("vlog: read %s at %d: %w", r.name, offset, err)
	}
	return b, nil
}

// Number is the number of the file.
func (r *Reader) Number() uint64 { return r.meta.Number }

// Meta is what the footer says.
func (r *Reader) Meta() Meta { return r.meta }

// Close releases the mapping.
func (r *Reader) Close() error {
	r.m.Release()
	return nil
}

// AppendValue appends the value of user, which p points to, to dst.
func (r *Reader) AppendValue(dst, user []byte, p Pointer) ([]byte, error) {
	h, stored, all, err := r.record(user, p, dst)
	if err != nil {
		return dst, err
	}
	if r.file == nil {
		return r.appendDecoded(dst, h, stored, p)
	}
	// The record lies where the value should be: what is decoded goes behind it, and then there.
	value := stored
	if h.codec != None {
		n := len(all)
		if all, err = r.appendDecoded(all, h, stored, p); err != nil {
			return dst, err
		}
		value = all[n:]
	}
	n := len(dst) + copy(all[len(dst):], value)
	return all[:n], nil
}

// Value returns the value of user, which p points to, in place or, if it must be
// decoded or read, in scratch, which may be nil and is returned grown.
func (r *Reader) Value(user []byte, p Pointer, scratch []byte) (value, grown []byte, err error) {
	h, stored, grown, err := r.record(user, p, scratch[:0])
	if err != nil || h.codec == None {
		return stored, grown, err
	}
	n := len(grown)
	if grown, err = r.appendDecoded(grown, h, stored, p); err != nil {
		return nil, grown, err
	}
	return grown[n:], grown, nil
}

func (r *Reader) appendDecoded(dst []byte, h header, stored []byte, p Pointer) ([]byte, error) {
	dst, reason := r.decoder.append(dst, stored, h.codec, int(h.raw))
	if reason != "" {
		return dst, corrupt.New(r.name, int64(p.Offset), "%s", reason)
	}
	return dst, nil
}

// record finds the record of user at p. Its checksum is verified the first time; that
// it is the record of this key and size, each time. If the file is not mapped, the record is
// appended to scratch, which is returned grown.
func (r *Reader) record(user []byte, p Pointer, scratch []byte) (h header, stored, grown []byte, err error) {
	if !r.holds(p) {
		return h, nil, scratch, r.leadsAstray(user, p)
	}
	b, grown, err := r.read(p, scratch)
	if err != nil {
		return h, nil, scratch, err
	}
	if err := r.checkOnce(b, p); err != nil {
		return h, nil, scratch, err
	}
	h = parseHeader(b)
	value := headerBytes + int(h.keyBytes)
	if h.recordBytes() != p.Size || !bytes.Equal(b[headerBytes:value], user) {
		return h, nil, scratch, r.leadsAstray(user, p)
	}
	return h, b[value:len(b):len(b)], grown, nil
}

// read returns the bytes that p points to: of the mapping, or read behind scratch.
func (r *Reader) read(p Pointer, scratch []byte) (b, grown []byte, err error) {
	if r.file == nil {
		b, err = r.view(int64(p.Offset), int(p.Size))
		return b, scratch, err
	}
	n, end := len(scratch), len(scratch)+int(p.Size)
	grown = slices.Grow(scratch, int(p.Size))[:end]
	b = grown[n:end:end]
	if got, err := r.file.ReadAt(b, int64(p.Offset)); got < len(b) {
		return nil, scratch, fmt.Errorf("vlog: read %s at %d: %w", r.name, p.Offset, err)
	}
	return b, grown, nil
}

// checkOnce checks a record unless that has been done.
func (r *Reader) checkOnce(b []byte, p Pointer) error {
	granule := p.Offset >> r.granuleShift
	if bit := uint64(1) << (granule & 63); r.checked[granule>>6].Load()&bit == 0 {
		if err := r.check(b, int64(p.Offset)); err != nil {
			return err
		}
		r.checked[granule>>6].Or(bit)
	}
	return nil
}

func (r *Reader) leadsAstray(user []byte, p Pointer) error {
	return corrupt.New(r.name, int64(p.Offset), "pointer %v of %s leads to another record", p, key.Format(user))
}

// CheckPointer reports, as an error, if p does not lead to a sound record of user.
func (r *Reader) CheckPointer(user []byte, p Pointer) error {
	_, _, _, err := r.record(user, p, nil)
	return err
}

// Ask asks the processor for a record, so that it is in the cache when it is read. It never
// fails; a pointer that leads nowhere does no harm.
func (r *Reader) Ask(p Pointer) {
	b := r.m.Bytes()
	if !r.holds(p) || p.Offset+p.Size > uint64(len(b)) {
		return
	}
	prefetch.Lines(unsafe.Pointer(&b[p.Offset]), int(min(p.Size, askBytes)))
}

// Of a large value the beginning is enough, as reading on is what the hardware foresees.
const askBytes = 1280

// holds reports whether p lies within the records.
func (r *Reader) holds(p Pointer) bool {
	end := r.meta.RecordBytes()
	return p.Size >= headerBytes && p.Size <= end && p.Offset <= end-p.Size && p.File == r.meta.Number
}

// check tests all that can be tested of a record at offset without decoding it.
func (r *Reader) check(b []byte, offset int64) error {
	h := parseHeader(b)
	switch want := checksum(b[4:], r.meta.Number, offset); {
	case h.checksum != want:
		return corrupt.New(r.name, offset, "checksum of record is %08x, want %08x", h.checksum, want)
	case h.recordBytes() != uint64(len(b)):
		return corrupt.New(r.name, offset, "record says %d bytes, has %d", h.recordBytes(), len(b))
	case h.zero != 0 || h.raw > MaxValueBytes || h.codec == None && h.raw != h.stored || h.codec.version() > r.meta.version:
		return corrupt.New(r.name, offset, "record makes no sense: %+v", h)
	}
	return nil
}

// A Record is one record as Records finds it. Its slices alias the mapping.
type Record struct {
	Pointer
	User     []byte
	Codec    Codec
	RawBytes int // of the value once decoded
	stored   []byte
}

// String prints a record in one line.
func (c Record) String() string {
	return fmt.Sprintf("%d+%d %s %d bytes %v", c.Offset, c.Size, key.Format(c.User), c.RawBytes, c.Codec)
}

// Records calls f for every record in the order of the file. It checks each before,
// whether or not that has been done; the caller guards it.
func (r *Reader) Records(f func(Record) error) error {
	end := int64(r.meta.RecordBytes())
	for at := int64(0); at < end; {
		if end-at < headerBytes {
			return corrupt.New(r.name, at, "%d bytes are no record", end-at)
		}
		b, err := r.view(at, headerBytes)
		if err != nil {
			return err
		}
		h := parseHeader(b)
		if h.recordBytes() > uint64(end-at) {
			return corrupt.New(r.name, at, "record says %d bytes, %d are left", h.recordBytes(), end-at)
		}
		if b, err = r.view(at, int(h.recordBytes())); err != nil {
			return err
		}
		if err := r.check(b, at); err != nil {
			return err
		}
		value := headerBytes + int(h.keyBytes)
		if err := f(Record{
			Pointer: Pointer{File: r.meta.Number, Offset: uint64(at), Size: h.recordBytes()},
			User:    slices.Clip(b[headerBytes:value]), Codec: h.codec, RawBytes: int(h.raw), stored: b[value:],
		}); err != nil {
			return err
		}
		at += int64(h.recordBytes())
	}
	return nil
}
