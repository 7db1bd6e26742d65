package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// chunkBytes is how much a Writer gathers before it writes.
const chunkBytes = 1 << 20

// A Writer writes one table.
//
//	Add        stages the entry in the current block; a full block is closed:
//	           built behind the pending bytes, and its index entry noted
//	(chunk)    pending bytes go to the file when there are enough of them
//	Tag        notes what the last entry's value says, for bitmaps
//	Expires    notes when the last entry expires
//	Finish     writes filters, range deletes, bitmaps, index, properties, directory
//	           and footer, and syncs
//
// Besides one chunk and the block being filled, it holds about 30 bytes for each
// block and 8 for each distinct user key, in memory. It writes the file
// from the start, without gaps, never twice. The file stays the caller's: to
// close, to make its name durable, and to remove after an error.
//
// After an error a Writer refuses everything with that error; whoever does not Finish
// calls Abandon. A Writer is not safe for concurrent use.
type Writer struct {
	f       vfs.File
	options Options
	err     error

	pending []byte // written to the file next
	start   int64  // offset of pending in the file

	block    blockBuilder
	payload  []byte // of a block to be encoded
	encoder  *encoder
	held     []heldBlock // for the dictionary to be trained
	heldSize int         // bytes of their payloads
	trained  bool
	version  uint32
	index    indexBuilder
	hashes   []uint64      // of the distinct user keys
	deletes  []RangeDelete // sorted by Finish
	prefixes prefixes
	expiries expiries
	facets   facet.Builder
	sections []directoryEntry

	properties Properties
	last       key.Internal // the last entry added; a buffer of our own
	left       []byte       // last user key of the last closed block
}

var (
	errFinished  = errors.New("sstable: the table is finished")
	errAbandoned = errors.New("sstable: the table is abandoned")
)

// NewWriter writes a table into f, which must be empty.
func NewWriter(f vfs.File, o Options) *Writer {
	w := new(Writer)
	w.Reset(f, o)
	return w
}

// Reset makes w a writer of another table, whatever became of the one before. It reuses
// the memory: some MiB, which cost more to get than many blocks to write.
func (w *Writer) Reset(f vfs.File, o Options) {
	w.Abandon()
	w.block.reset()
	*w = Writer{
		facets: facet.NewBuilder(outside{}),
		f:      f, options: o.withDefaults(), version: 1,
		pending: w.pending[:0], block: w.block, payload: w.payload[:0], index: w.index.emptied(),
		hashes: w.hashes[:0], prefixes: prefixes{hashes: w.prefixes.hashes[:0]}, last: key.Internal{User: w.last.User[:0]}, left: w.left[:0],
	}
	if o.Compression != None {
		w.encoder = &encoder{choice: o.Compression}
	}
	w.properties.Number = o.Number
}

// Abandon gives back what does not belong to the garbage collector, of a table that is not
// to be finished. The Writer is of no use before the next Reset.
func (w *Writer) Abandon() {
	w.facets.Free()
	if w.err == nil {
		w.err = errAbandoned
	}
}

// Add appends an entry, which must sort behind those added before. It copies
// user and value.
//
// A merge spends most of its time here. So the key is compared with the one before
// it once, and what they share answers everything: the order, whether the key is
// new, and how long a prefix the block will have.
func (w *Writer) Add(user []byte, t key.Trailer, value []byte) error {
	shared := commonPrefix(w.last.User, user)
	isNew := w.properties.Entries == 0 || shared < len(user) || shared < len(w.last.User)
	if err := w.admit(user, t, value, shared, isNew); err != nil {
		return err
	}
	grown := w.block.with(user, t, shared)
	if !w.block.empty() && w.sizeWith(grown, len(user)+len(value)) > w.options.BlockBytes {
		if err := w.closeBlock(); err != nil {
			return err
		}
		grown = w.block.with(user, t, shared)
	}
	w.block.add(user, t, value, grown)
	if isNew && w.options.FilterBitsPerKey > 0 {
		w.hashes = append(w.hashes, filter.Hash(user))
	}
	if isNew && w.options.Split != nil {
		w.prefixes.add(w.options.Split, user, shared)
	}
	w.properties.addEntry(user, t, len(value), isNew)
	w.last.User = append(w.last.User[:shared], user[shared:]...)
	w.last.Trailer = t
	return nil
}

// admit refuses what a table cannot hold. shared and isNew compare user with the
// last key.
func (w *Writer) admit(user []byte, t key.Trailer, value []byte, shared int, isNew bool) error {
	switch {
	case w.err != nil:
		return w.err
	case len(user) > MaxKeyBytes:
		return fmt.Errorf("sstable: user key of %d bytes, at most %d", len(user), MaxKeyBytes)
	case len(value) > MaxValueBytes:
		return fmt.Errorf("sstable: value of %d bytes, at most %d", len(value), MaxValueBytes)
	case w.properties.Entries == maxEntries:
		return fmt.Errorf("sstable: more than %d entries", uint32(maxEntries))
	case w.properties.Entries == 0:
		return nil
	case !isNew && t >= w.last.Trailer,
		isNew && shared < len(w.last.User) && (shared == len(user) || user[shared] < w.last.User[shared]):
		return fmt.Errorf("sstable: %v added after %v", key.Internal{User: user, Trailer: t}, w.last)
	}
	return nil
}

// sizeWith is the size of the open block with one entry more, of so many bytes, that
// leads to widths.
func (w *Writer) sizeWith(grown widths, bytes int) int {
	return envelopeBytes + grown.payloadBytes(len(w.block.staged)+1, len(w.block.bytes)+bytes)
}

// AddRangeDelete adds a range delete of [start, end) by seq, in any order and at
// any time before Finish. An empty range is ignored. It copies start and end.
func (w *Writer) AddRangeDelete(start, end []byte, seq key.SeqNum) error {
	if w.err != nil {
		return w.err
	}
	if max(len(start), len(end)) > MaxKeyBytes {
		return fmt.Errorf("sstable: range delete with a key of %d bytes, at most %d",
			max(len(start), len(end)), MaxKeyBytes)
	}
	if bytes.Compare(start, end) >= 0 {
		return nil
	}
	d := RangeDelete{Start: bytes.Clone(start), End: bytes.Clone(end), Seq: seq}
	w.deletes = append(w.deletes, d)
	return nil
}

// EstimatedSize is about how large the file would be if it were finished now.
func (w *Writer) EstimatedSize() uint64 {
	size := w.offset() + int64(w.heldSize) + int64(w.index.bytes()) + int64((len(w.hashes)+len(w.prefixes.hashes))*w.options.FilterBitsPerKey/8)
	if !w.block.empty() {
		size += int64(envelopeBytes + w.block.payloadBytes())
	}
	for _, d := range w.deletes {
		size += int64(rangeDeleteHeaderBytes + len(d.Start) + len(d.End))
	}
	return uint64(size) + 4*envelopeBytes + footerBytes
}

// Entries is the number of entries and range deletes added so far.
func (w *Writer) Entries() uint64 { return w.properties.Entries + uint64(len(w.deletes)) }

// Finish completes the table and makes its bytes durable.
func (w *Writer) Finish() (Meta, error) {
	if w.err != nil {
		return Meta{}, w.err
	}
	if err := w.finish(); err != nil {
		w.err = err
		return Meta{}, err
	}
	w.err = errFinished
	return Meta{Size: uint64(w.start), Properties: w.properties}, nil
}

func (w *Writer) finish() error {
	if err := w.closeBlock(); err != nil {
		return err
	}
	if err := w.releaseHeld(); err != nil {
		return err
	}
	if w.offset() > 0 {
		w.sections = append(w.sections, directoryEntry{kind: sectionData, size: w.offset()})
	}
	p := &w.properties
	p.DataBlocks, p.DataBytes = uint64(len(w.index.offsets)), uint64(w.offset())
	for _, write := range []func() error{
		w.writeDictionary, w.writeFilter, w.writePrefixes, w.writeRangeDeletes, w.writeBitmaps, w.writeIndex, w.writeProperties, w.writeDirectory, w.writePending,
	} {
		if err := write(); err != nil {
			return err
		}
	}
	if plant.On(plant.TableUnsynced) {
		return nil
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sstable: sync table %d: %w", w.options.Number, err)
	}
	return nil
}

// offset is where the next block will lie in the file.
func (w *Writer) offset() int64 { return w.start + int64(len(w.pending)) }

// closeBlock turns the staged entries into a data block.
func (w *Writer) closeBlock() error {
	b := &w.block
	if b.empty() {
		return nil
	}
	first := key.Internal{User: b.first(), Trailer: b.staged[0].trailer}
	row := uint32(w.properties.Entries) - uint32(len(b.staged))
	if err := w.placeBlock(first, row); err != nil {
		w.err = err
		return err
	}
	w.left = append(w.left[:0], b.last()...)
	b.reset()
	return w.writeChunk()
}

// placeBlock puts the staged block, with this first key and row, where it belongs:
// behind the pending bytes, or with those that wait for a dictionary.
func (w *Writer) placeBlock(first key.Internal, row uint32) error {
	if w.encoder == nil {
		if err := w.addToIndex(w.left, first, row); err != nil {
			return err
		}
		start := w.openBlock()
		w.pending = w.block.appendTo(w.pending)
		raw := len(w.pending) - start - envelopeBytes
		return w.sealBlock(start, envelope{rawBytes: raw, kind: sectionData, padding: w.pad(start)})
	}
	w.payload = w.block.appendTo(w.payload[:0])
	if w.options.Compression != ZstdDict || w.trained {
		return w.encodeBlock(heldBlock{first: first, left: w.left, row: row, payload: w.payload})
	}
	w.held = append(w.held, heldBlock{first.Clone(), bytes.Clone(w.left), row, bytes.Clone(w.payload)})
	if w.heldSize += len(w.payload); w.heldSize < w.options.trainBytes {
		return nil
	}
	w.encoder.dictionary = train(dictionaryID(w.options.Number), w.held)
	return w.releaseHeld()
}

// releaseHeld encodes the blocks that were held back.
func (w *Writer) releaseHeld() error {
	for _, b := range w.held {
		if err := w.encodeBlock(b); err != nil {
			return err
		}
		if err := w.writeChunk(); err != nil {
			return err
		}
	}
	w.held, w.heldSize, w.trained = nil, 0, true
	return nil
}

func (w *Writer) encodeBlock(b heldBlock) (err error) {
	if err := w.addToIndex(b.left, b.first, b.row); err != nil {
		return err
	}
	start := w.openBlock()
	e := envelope{rawBytes: len(b.payload), kind: sectionData}
	if w.pending, e.codec, err = w.encoder.appendTo(w.pending, b.payload); err != nil {
		return err
	}
	w.version = max(w.version, e.codec.version())
	if e.codec == codecNone {
		e.padding = w.pad(start)
	}
	return w.sealBlock(start, e)
}

// addToIndex notes the block that will start at the current offset.
func (w *Writer) addToIndex(left []byte, first key.Internal, row uint32) error {
	if w.offset() > offsetMask {
		return fmt.Errorf("sstable: table %d is larger than %d bytes", w.options.Number, int64(offsetMask))
	}
	w.index.add(left, first, uint64(w.offset()), row)
	return nil
}

// writeDictionary writes the dictionary if there is one. Its payload is as in RFC
// 8878, section 5.
func (w *Writer) writeDictionary() error {
	if w.encoder == nil || w.encoder.dictionary == nil {
		return nil
	}
	_, err := w.writeSection(sectionDictionary, func(dst []byte) []byte {
		return append(dst, w.encoder.dictionary...)
	})
	return err
}

const (
	pageBytes = 4096
	lineBytes = 64
)

// pad fills up the block at start with zeros so that the next one starts on a
// page, if that takes little, else on a cache line. A block within one page
// costs a lookup one TLB miss and one page fault instead of two.
func (w *Writer) pad(start int) (padding int) {
	end := w.offset()
	padding = int(-end & (pageBytes - 1))
	if padding > min(len(w.pending)-start, pageBytes)/16 {
		padding = int(-end & (lineBytes - 1))
	}
	w.pending = append(w.pending, make([]byte, padding)...)
	return padding
}

// openBlock leaves room for an envelope and returns the position of the block
// in the pending bytes; sealBlock completes it.
func (w *Writer) openBlock() (start int) {
	start = len(w.pending)
	w.pending = append(w.pending, make([]byte, envelopeBytes)...)
	return start
}

func (w *Writer) sealBlock(start int, e envelope) error {
	block := w.pending[start:]
	if len(block) > maxBlockBytes {
		return fmt.Errorf("sstable: %v block of %d bytes", e.kind, len(block))
	}
	seal(block, e, w.options.Number, w.start+int64(start))
	return nil
}

// writePending writes the pending bytes to the file.
func (w *Writer) writePending() error {
	if _, err := w.f.WriteAt(w.pending, w.start); err != nil {
		w.err = fmt.Errorf("sstable: write table %d at %d: %w", w.options.Number, w.start, err)
		return w.err
	}
	w.start += int64(len(w.pending))
	w.pending = w.pending[:0]
	return nil
}

// writeSection writes one block that is a section of its own; fill appends its
// payload to dst.
func (w *Writer) writeSection(kind section, fill func(dst []byte) []byte) (directoryEntry, error) {
	s := directoryEntry{kind: kind, offset: w.offset()}
	start := w.openBlock()
	w.pending = fill(w.pending)
	raw := len(w.pending) - start - envelopeBytes
	if err := w.sealBlock(start, envelope{rawBytes: raw, kind: kind}); err != nil {
		return s, err
	}
	s.size = w.offset() - s.offset
	w.sections = append(w.sections, s)
	return s, w.writeChunk()
}

// writeChunk writes the pending bytes if they have become many.
func (w *Writer) writeChunk() error {
	if len(w.pending) < chunkBytes {
		return nil
	}
	return w.writePending()
}

// The filter block's payload is two fields and a filter (package filter), whose
// lines start on a multiple of 64 bytes in the file:
//
//	0 probes  4B
//	4 skip    4B
//	8 zero    skip bytes
//	  lines
const filterHeaderBytes = 8

func (w *Writer) writeFilter() error {
	bits := w.options.FilterBitsPerKey
	if bits < 0 || len(w.hashes) == 0 {
		return nil
	}
	skip := -(w.offset() + envelopeBytes + filterHeaderBytes) & (lineBytes - 1)
	s, err := w.writeSection(sectionFilter, func(dst []byte) []byte {
		dst = little.AppendUint32(dst, uint32(filter.Probes(bits)))
		dst = little.AppendUint32(dst, uint32(skip))
		dst = append(dst, make([]byte, skip)...)
		return filter.Append(dst, w.hashes, bits)
	})
	w.properties.FilterBytes = uint64(s.size)
	return err
}

func (w *Writer) writeRangeDeletes() error {
	if len(w.deletes) == 0 {
		return nil
	}
	slices.SortFunc(w.deletes, RangeDelete.compare)
	_, err := w.writeSection(sectionRangeDeletes, func(dst []byte) []byte {
		return appendRangeDeletes(dst, w.deletes)
	})
	return err
}

func (w *Writer) writeIndex() error {
	p := &w.properties
	w.index.finish(w.last.User, p.DataBytes, uint32(p.Entries))
	s, err := w.writeSection(sectionIndex, w.index.appendTo)
	p.IndexBytes = uint64(s.size)
	return err
}

func (w *Writer) writeProperties() error {
	p := &w.properties
	if p.Entries > 0 {
		p.widen(w.last)
		p.Expiry = w.expiries.summary(p.Entries)
	}
	for _, d := range w.deletes {
		p.addRangeDelete(d)
	}
	_, err := w.writeSection(sectionProperties, p.append)
	return err
}

// writeDirectory writes the directory and the footer, which points to it.
func (w *Writer) writeDirectory() error {
	listed := slices.Clone(w.sections)
	s, err := w.writeSection(sectionDirectory, func(dst []byte) []byte {
		return appendDirectory(dst, listed)
	})
	w.pending = footer{version: w.version, number: w.options.Number, directory: s}.append(w.pending)
	return err
}
