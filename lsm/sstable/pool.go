package sstable

import (
	"fmt"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/corrupt"
)

// A Pool is what the readers of one database share: the cache of decoded blocks, buffers
// to decode into, and the decoder for zstd with the dictionaries of the open tables.
//
// Dictionaries are told apart by table number. So the tables that are open with one
// Pool must have different ones.
//
// The zero Pool is ready for use and has no cache. It is safe for concurrent use.
type Pool struct {
	cache   *cache.Cache // nil: none
	filters filterCounters

	// mu guards the making of the decoder and changes of its options; decoding goes
	// on meanwhile.
	mu   env.Leaf
	zstd atomic.Pointer[zstd.Decoder] // nil before first use
	idle []*scratch
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

// decoder returns the decoder for zstd. It has no goroutines, and what state it has
// between blocks is memory that it reuses.
func (p *Pool) decoder() (*zstd.Decoder, error) {
	if d := p.zstd.Load(); d != nil {
		return d, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decoderLocked()
}

func (p *Pool) decoderLocked() (*zstd.Decoder, error) {
	if d := p.zstd.Load(); d != nil {
		return d, nil
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true))
	if err == nil {
		p.zstd.Store(d)
	}
	return d, err
}

// decode decodes a stream that must fill dst exactly.
func (p *Pool) decode(dst, stream []byte, c codec) error {
	switch c {
	case codecS2Whole, codecS2:
		if n, err := s2.DecodedLen(stream); err != nil || n != len(dst) {
			return fmt.Errorf("it has %d bytes (%v), not %d", n, err, len(dst))
		}
		_, err := s2.Decode(dst, stream)
		return err
	case codecZstd, codecZstdDict:
		d, err := p.decoder()
		if err != nil {
			return err
		}
		out, err := d.DecodeAll(stream, dst[:0:len(dst)])
		if err == nil && len(out) != len(dst) {
			err = fmt.Errorf("it has %d bytes, not %d", len(out), len(dst))
		}
		return err
	}
	return fmt.Errorf("it is encoded by %v", c)
}

// addDictionary makes known a table's dictionary.
func (p *Pool) addDictionary(dictionary []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.decoderLocked()
	if err != nil {
		return err
	}
	return d.ResetWithOptions(nil, zstd.WithDecoderDicts(dictionary))
}

func (p *Pool) dropDictionary(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.zstd.Load().ResetWithOptions(nil, zstd.WithDecoderDictDelete(id))
}

// dictionaryID is the zstd name of a table's dictionary. It may not be zero.
func dictionaryID(table uint64) uint32 { return uint32(table%(1<<32-1)) + 1 }

// loadDictionary makes the table's dictionary known to the decoder, once.
func (r *Reader) loadDictionary() error {
	if r.dictionary.Load() {
		return nil
	}
	s := r.section(sectionDictionary)
	if s.size == 0 {
		return corrupt.New(r.name, r.size-footerBytes, "the table has no dictionary")
	}
	b, err := r.readSection(s)
	if err != nil {
		return err
	}
	if len(b) < 8 || little.Uint32(b[4:]) != dictionaryID(r.number) {
		return corrupt.New(r.name, s.offset, "dictionary of %d bytes is not this table's", len(b))
	}
	if err := r.pool.addDictionary(b); err != nil {
		return corrupt.New(r.name, s.offset, "dictionary does not decode: %v", err)
	}
	r.dictionary.Store(true)
	return nil
}
