package sstable

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"unsafe"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// A Reader reads one table, in place where that is possible: where the file is mapped
// and the block not encoded. Other blocks are decoded, and the decoded ones cached
// (fetch.go).
//
// Slices that it returns may alias the mapping, and are valid until Close; the
// caller sees to it that no read is under way and no slice in use then.
//
// A mapped page that cannot be read (the device failed, the file was truncated)
// faults. Open and Verify turn that into an error themselves; around Get and
// iterators, and around the use of what they return, the caller puts one
// vfs.Guard for the whole operation, which is cheaper than one for each block.
//
// A Reader is safe for concurrent use.
type Reader struct {
	name       string
	number     uint64
	m          vfs.Mapping
	file       io.ReaderAt // nil if the file is really mapped
	size       int64
	sections   []directoryEntry
	index      *index
	properties Properties
	deletes    []RangeDelete
	lift       uint64 // added to all trailers (lift.go)

	filterAt directoryEntry // size 0: there is none
	filter   atomic.Pointer[filter.Filter]
	bitmaps  atomic.Pointer[facet.Set]

	prefixesAt directoryEntry // likewise
	prefixes   atomic.Pointer[prefixFilter]

	pool  *Pool
	slots atomic.Pointer[cache.Slots] // of the blocks in the pool's cache; nil before first use

	withDictionary atomic.Pointer[decoder] // that knows the table's dictionary; nil: none was asked yet

	// checked has one bit for each data block whose checksum has been found
	// right. Two readers may both find a bit clear; then both check.
	checked []atomic.Uint64
}

// Open opens the table in m, which is called name in errors. The Reader takes
// over m if Open succeeds.
//
// It reads footer, directory, index, properties and range deletes. Damage there,
// or a number other than o.Number, is a *corrupt.Error.
//
// With a vfs.ReadMapping filter and index are kept in memory, and every block is read
// when it is needed, unless it is in the pool's cache.
func Open(m vfs.Mapping, name string, o Options) (*Reader, error) {
	r := &Reader{name: name, m: m, size: m.Size(), pool: o.Pool}
	r.file, _ = m.(io.ReaderAt)
	if r.pool == nil {
		r.pool = new(Pool)
	}
	if err := vfs.Guard(func() error { return r.open(o.Number, o.Seq) }); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(number uint64, seq key.SeqNum) error {
	at := r.size - footerBytes
	if at < 0 {
		return corrupt.New(r.name, 0, "file of %d bytes is too short for a table", r.size)
	}
	b, err := r.view(at, footerBytes)
	if err != nil {
		return err
	}
	f, err := parseFooter(b, r.name, at)
	if err != nil {
		return err
	}
	if number != 0 && f.number != number {
		return corrupt.New(r.name, at, "this is table %d, want %d", f.number, number)
	}
	r.number = f.number
	payload, err := r.readSection(f.directory)
	if err != nil {
		return err
	}
	sections, reason := parseDirectory(payload, f.directory.offset)
	if reason != "" {
		return corrupt.New(r.name, f.directory.offset, "%s", reason)
	}
	r.sections = append(sections, f.directory)
	if err := r.openSections(); err != nil {
		return err
	}
	return r.liftTo(seq)
}

// openSections reads all that is kept in memory.
func (r *Reader) openSections() error {
	r.filterAt, r.prefixesAt = r.section(sectionFilter), r.section(sectionPrefixes)
	if err := r.parseSection(sectionRangeDeletes, func(b []byte) (reason string) {
		r.deletes, reason = parseRangeDeletes(b)
		return reason
	}); err != nil {
		return err
	}
	if err := r.parseSection(sectionProperties, func(b []byte) (reason string) {
		r.properties, reason = parseProperties(b)
		return reason
	}); err != nil {
		return err
	}
	if err := r.parseSection(sectionIndex, func(b []byte) (reason string) {
		r.index, reason = parseIndex(b, uint64(r.section(sectionData).size))
		return reason
	}); err != nil {
		return err
	}
	if r.index == nil || r.section(sectionProperties).size == 0 {
		return corrupt.New(r.name, r.size-footerBytes, "index or properties are missing")
	}
	r.checked = make([]atomic.Uint64, (r.index.blocks+63)/64)
	return nil
}

// section finds a section in the directory; its size is 0 if there is none.
func (r *Reader) section(kind section) directoryEntry {
	for _, s := range r.sections {
		if s.kind == kind {
			return s
		}
	}
	return directoryEntry{kind: kind}
}

// parseSection has parse decode the payload of a section, if there is one.
func (r *Reader) parseSection(kind section, parse func(payload []byte) (reason string)) error {
	s := r.section(kind)
	if s.size == 0 {
		return nil
	}
	payload, err := r.readSection(s)
	if err != nil {
		return err
	}
	if reason := parse(payload); reason != "" {
		return corrupt.New(r.name, s.offset, "%s", reason)
	}
	return nil
}

// readSection checks a block that is a section of its own and returns its
// payload.
func (r *Reader) readSection(s directoryEntry) ([]byte, error) {
	b, err := r.view(s.offset, int(s.size))
	if err != nil {
		return nil, err
	}
	if err := r.check(b, s.kind, s.offset); err != nil {
		return nil, err
	}
	if c := codecOf(b); c != codecNone {
		return nil, corrupt.New(r.name, s.offset, "%v block is encoded by %v", s.kind, c)
	}
	return payload(b), nil
}

// payload is what lies between envelope and padding of a block that has been
// checked.
func payload(block []byte) []byte {
	end := len(block) - int(little.Uint16(block[14:]))
	return block[envelopeBytes:max(end, envelopeBytes)]
}

// view returns n bytes of the file: of the mapping, or in memory of their own.
func (r *Reader) view(offset int64, n int) ([]byte, error) {
	b, _, err := r.read(offset, n, nil)
	return b, err
}

// read returns n bytes of the file: of the mapping, or read into scratch, which may be
// nil and is returned grown.
func (r *Reader) read(offset int64, n int, scratch []byte) (b, grown []byte, err error) {
	switch {
	case r.file == nil:
		b, err = r.m.View(offset, n)
	case offset < 0 || n < 0 || int64(n) > r.size-offset:
		err = io.ErrUnexpectedEOF // of a damaged file; and memory for it might be too much
	default:
		scratch = sized(scratch, n)
		b = scratch
		var got int
		if got, err = r.file.ReadAt(b, offset); got == n {
			err = nil
		}
	}
	if err != nil {
		return nil, scratch, fmt.Errorf("sstable: read %s at %d: %w", r.name, offset, err)
	}
	return b, scratch, nil
}

// sized returns b with n bytes, of the same memory if there is enough.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// Properties describe the table.
func (r *Reader) Properties() Properties { return r.properties }

// Size is the length of the file in bytes.
func (r *Reader) Size() uint64 { return uint64(r.size) }

// ResidentBytes is how much memory reads need besides the blocks: index and filters.
func (r *Reader) ResidentBytes() uint64 {
	return r.properties.IndexBytes + r.properties.FilterBytes + uint64(r.prefixesAt.size)
}

// Offset returns where in the file the mapped address lies, for messages about a page
// that could not be read. ok is false for an address elsewhere.
func (r *Reader) Offset(addr uintptr) (offset int64, ok bool) {
	if r.file != nil || r.size == 0 {
		return 0, false
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(r.m.Bytes())))
	return int64(addr - start), addr >= start && addr-start < uintptr(r.size)
}

// RangeDeletes are the table's range deletes as they were given, by start
// ascending, then sequence number descending. Get and iterators do not apply
// them. The caller must not change them.
func (r *Reader) RangeDeletes() []RangeDelete { return r.deletes }

// Close releases the mapping.
func (r *Reader) Close() error {
	if d := r.withDictionary.Load(); d != nil {
		r.pool.dropDictionary(d, dictionaryID(r.number))
	}
	if s := r.slots.Load(); s != nil {
		r.pool.cache.Disown(s)
	}
	r.m.Release()
	return nil
}

// Get finds the newest version of user that a reader at seq may see. A tombstone
// is found like a value; t tells which it is.
func (r *Reader) Get(user []byte, seq key.SeqNum) (value []byte, t key.Trailer, found bool, err error) {
	return r.GetHashed(user, filter.Hash(user), seq, nil)
}

// GetHashed is Get for a caller who asks several tables about one key and has
// computed filter.Hash(user) once.
//
// Where the value cannot be returned in place, it is appended to buf: then value lies
// behind the end of buf, in its memory if that has room, and appending it to buf
// once more costs next to nothing. It allocates nothing but for that.
func (r *Reader) GetHashed(user []byte, hash uint64, seq key.SeqNum, buf []byte) (value []byte, t key.Trailer, found bool, err error) {
	pass, err := r.mayContain(hash)
	if !pass {
		if isCounted(hash) && err == nil {
			r.pool.filters.count(false, false)
		}
		return nil, 0, false, err
	}
	var b block
	found, err = r.search(&b, user, hash, seq, buf)
	if isCounted(hash) && err == nil && r.filterAt.size > 0 {
		r.pool.filters.count(true, found)
	}
	if !found {
		return nil, 0, false, err
	}
	return b.found.value, b.found.trailer, true, nil
}

// Has reports what GetHashed finds out of a key that may be there by the Filter. It
// allocates nothing, as it copies no value.
func (r *Reader) Has(user []byte, hash uint64, seq key.SeqNum) (bool, error) {
	b := block{keyOnly: true}
	return r.search(&b, user, hash, seq, nil)
}

// search looks for the newest version of user that a reader at seq may see; it is then
// in b.found.
func (r *Reader) search(b *block, user []byte, hash uint64, seq key.SeqNum, buf []byte) (found bool, err error) {
	target := key.SeekTrailer(seq)
	j := r.index.find(user, target)
	for j < r.index.blocks {
		got, err := r.lookUp(b, j, user, hash, target, buf)
		if err != nil || got == isThere || got == notThere {
			return got == isThere && err == nil, err
		}
		// All of block j is less. What is sought may head the next one only if
		// the versions of user cross the border.
		if j++; j == r.index.blocks || !bytes.Equal(r.index.separator(j).User, user) {
			break
		}
	}
	return false, nil
}

// Filter returns the table's filter, to ask about many keys.
func (r *Reader) Filter() (*filter.Filter, error) {
	if f := r.filter.Load(); f != nil {
		return f, nil
	}
	return r.loadFilter()
}

// mayContain asks the filter about a user key with that filter.Hash. False is
// certain.
func (r *Reader) mayContain(hash uint64) (bool, error) {
	f := r.filter.Load()
	if f == nil {
		var err error
		if f, err = r.loadFilter(); err != nil {
			return false, err
		}
	}
	return f.MayContain(hash), nil
}

// loadFilter checks the filter at its first touch.
func (r *Reader) loadFilter() (*filter.Filter, error) {
	f := new(filter.Filter) // passes everything
	if s := r.filterAt; s.size > 0 {
		b, err := r.readSection(s)
		if err != nil {
			return nil, err
		}
		if *f, err = parseFilter(b); err != nil {
			return nil, corrupt.New(r.name, s.offset, "%v", err)
		}
	}
	r.filter.Store(f)
	return f, nil
}

// parseFilter decodes the payload of a filter block; see writeFilter.
func parseFilter(b []byte) (filter.Filter, error) {
	if len(b) < filterHeaderBytes {
		return filter.Filter{}, fmt.Errorf("filter of %d bytes", len(b))
	}
	probes, skip := little.Uint32(b), uint64(little.Uint32(b[4:]))
	b = b[filterHeaderBytes:]
	if skip > uint64(len(b)) || probes > filter.MaxProbes {
		return filter.Filter{}, fmt.Errorf("filter with %d probes and %d bytes skipped", probes, skip)
	}
	return filter.New(b[skip:], int(probes))
}

// malformed reports that data block j passed its checksum but makes no sense.
func (r *Reader) malformed(j int) error {
	offset, _ := r.index.extent(j)
	return corrupt.New(r.name, offset, "data block %d is malformed", j)
}
