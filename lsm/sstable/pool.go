package sstable

import (
	"fmt"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/filter"
)

// A Pool is what the readers of one database share: the cache of decoded blocks, buffers
// to decode into, and the decoders for zstd with the dictionaries of the open tables.
//
// The zero Pool is ready for use and has no cache. It is safe for concurrent use.
type Pool struct {
	cache   *cache.Cache // nil: none
	filters filterCounters

	// mu guards the making of decoders, changes of their options, and what they know;
	// decoding goes on meanwhile.
	mu    env.Leaf
	plain decoder    // of whatever needs no dictionary, and of most that does
	more  []*decoder // for dictionaries of which another one has the number
	idle  []*scratch
}

// NewPool returns a pool with a cache. The caller closes the cache after the readers.
func NewPool(c *cache.Cache) *Pool { return &Pool{cache: c} }

// A scratch is memory to read a block into. It serves one read after the other.
type scratch struct {
	stored []byte // as in the file
	data   []byte // decoded
}

// Bounds of the scratch memory that is kept.
const (
	idleScratches   = 16
	maxScratchBytes = 1 << 20
)

func (p *Pool) takeScratch() *scratch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return s
	}
	return new(scratch)
}

func (p *Pool) giveScratch(s *scratch) {
	if cap(s.stored)+cap(s.data) > maxScratchBytes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < idleScratches {
		p.idle = append(p.idle, s)
	}
}

// A decoder decodes zstd. It has no goroutines, and what state it has between blocks is
// memory that it reuses.
//
// It tells dictionaries apart by the numbers of their tables (dictionaryID). Those of tables that
// were built elsewhere may have one number by chance, or because one file was ingested
// twice. So Pool.mu guards which it knows, and by how many readers it is used.
type decoder struct {
	zstd  atomic.Pointer[zstd.Decoder] // nil before first use
	known map[uint32]*knownDictionary
}

type knownDictionary struct {
	hash    uint64 // of its bytes
	readers int
}

// ready returns the decoder for use.
func (d *decoder) ready(p *Pool) (*zstd.Decoder, error) {
	if z := d.zstd.Load(); z != nil {
		return z, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.readyLocked()
}

func (d *decoder) readyLocked() (*zstd.Decoder, error) {
	if z := d.zstd.Load(); z != nil {
		return z, nil
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true))
	if err == nil {
		d.zstd.Store(z)
	}
	return z, err
}

// decode decodes a stream that must fill dst exactly, by a decoder that knows the dictionary,
// if it needs one.
func (p *Pool) decode(by *decoder, dst, stream []byte, c codec) error {
	switch c {
	case codecS2Whole, codecS2:
		if n, err := s2.DecodedLen(stream); err != nil || n != len(dst) {
			return fmt.Errorf("it has %d bytes (%v), not %d", n, err, len(dst))
		}
		_, err := s2.Decode(dst, stream)
		return err
	case codecZstd, codecZstdDict:
		z, err := by.ready(p)
		if err != nil {
			return err
		}
		out, err := z.DecodeAll(stream, dst[:0:len(dst)])
		if err == nil && len(out) != len(dst) {
			err = fmt.Errorf("it has %d bytes, not %d", len(out), len(dst))
		}
		return err
	}
	return fmt.Errorf("it is encoded by %v", c)
}

// addDictionary returns a decoder that knows a table's dictionary, until dropDictionary.
func (p *Pool) addDictionary(id uint32, dictionary []byte) (*decoder, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hash := filter.Hash(dictionary)
	d := p.decoderForLocked(id, hash)
	if k := d.known[id]; k != nil {
		k.readers++
		return d, nil
	}
	z, err := d.readyLocked()
	if err == nil {
		err = z.ResetWithOptions(nil, zstd.WithDecoderDicts(dictionary))
	}
	if err != nil {
		return nil, err
	}
	if d.known == nil {
		d.known = map[uint32]*knownDictionary{}
	}
	d.known[id] = &knownDictionary{hash, 1}
	return d, nil
}

// decoderForLocked returns a decoder that knows that dictionary, or none of its number.
func (p *Pool) decoderForLocked(id uint32, hash uint64) *decoder {
	for i := -1; i < len(p.more); i++ {
		d := &p.plain
		if i >= 0 {
			d = p.more[i]
		}
		if k := d.known[id]; k == nil || k.hash == hash {
			return d
		}
	}
	d := new(decoder)
	p.more = append(p.more, d)
	return d
}

// dropDictionary has d forget a dictionary if no other reader uses it.
func (p *Pool) dropDictionary(d *decoder, id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := d.known[id]
	if k.readers--; k.readers == 0 {
		delete(d.known, id)
		_ = d.zstd.Load().ResetWithOptions(nil, zstd.WithDecoderDictDelete(id))
	}
}

// dictionaryID is the zstd name of a table's dictionary. It may not be zero.
func dictionaryID(table uint64) uint32 { return uint32(table%(1<<32-1)) + 1 }

// decoderWithDictionary returns a decoder that knows the table's dictionary.
func (r *Reader) decoderWithDictionary() (*decoder, error) {
	if d := r.withDictionary.Load(); d != nil {
		return d, nil
	}
	s := r.section(sectionDictionary)
	if s.size == 0 {
		return nil, corrupt.New(r.name, r.size-footerBytes, "the table has no dictionary")
	}
	b, err := r.readSection(s)
	if err != nil {
		return nil, err
	}
	id := dictionaryID(r.number)
	if len(b) < 8 || little.Uint32(b[4:]) != id {
		return nil, corrupt.New(r.name, s.offset, "dictionary of %d bytes is not this table's", len(b))
	}
	d, err := r.pool.addDictionary(id, b)
	if err != nil {
		return nil, corrupt.New(r.name, s.offset, "dictionary does not decode: %v", err)
	}
	if !r.withDictionary.CompareAndSwap(nil, d) { // another read was quicker
		r.pool.dropDictionary(d, id)
		d = r.withDictionary.Load()
	}
	return d, nil
}
