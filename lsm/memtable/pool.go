package memtable

import (
	"math/bits"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/offheap"
)

// A Pool keeps the memory of tables that were freed for those that come.
//
// Memory that a process touches for the first time is dear: the kernel, and below it the
// hypervisor, has to find and clear it, 0.2 to 0.5 µs for each small record. The
// memory of the table before is there already.
//
// The nil Pool keeps nothing. A Pool is safe for concurrent use.
type Pool struct {
	limit int // bytes; immutable

	mu     env.Leaf // guards the fields below it
	used   sizes    // with whatever was written to it
	zeroed sizes    // all zero
	bytes  int
	closed bool
}

// Memory comes in powers of two: sizes has a list for each.
type sizes [maxSizeBits + 1][][]byte

const maxSizeBits = slabBits + slabCount

func (s *sizes) of(n int) *[][]byte { return &s[bits.TrailingZeros64(uint64(n))] }

// NewPool returns a pool that keeps up to limit bytes.
func NewPool(limit int) *Pool {
	return &Pool{limit: limit}
}

// Alloc returns n bytes, a power of two, with whatever is in them, for what belongs to a
// table but is not in it.
func (p *Pool) Alloc(n int) []byte { return p.take(n, false) }

// Free takes back what Alloc returned.
func (p *Pool) Free(b []byte) { p.give(b, false) }

// take returns n bytes, a power of two, all zero if zeroed.
func (p *Pool) take(n int, zeroed bool) []byte {
	if p == nil || n < offheap.SmallBytes {
		return offheap.Alloc(n)
	}
	p.mu.Lock()
	list := p.sizes(zeroed).of(n)
	var b []byte
	if last := len(*list) - 1; last >= 0 {
		b = (*list)[last]
		*list = (*list)[:last]
		p.bytes -= n
	}
	p.mu.Unlock()
	if b == nil {
		return offheap.Alloc(n)
	}
	return b
}

// give takes back what take returned. zeroed says that it is to be given out zeroed: it
// is cleared here, because whoever frees a table is in less of a hurry than who makes one.
func (p *Pool) give(b []byte, zeroed bool) {
	if p == nil || len(b) < offheap.SmallBytes {
		offheap.Free(b)
		return
	}
	p.mu.Lock()
	keep := !p.closed && p.bytes+len(b) <= p.limit
	if keep {
		p.bytes += len(b)
	}
	p.mu.Unlock()
	if !keep {
		offheap.Free(b)
		return
	}
	if zeroed {
		clear(b)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.bytes -= len(b)
		offheap.Free(b)
		return
	}
	list := p.sizes(zeroed).of(len(b))
	*list = append(*list, b)
}

func (p *Pool) sizes(zeroed bool) *sizes {
	if zeroed {
		return &p.zeroed
	}
	return &p.used
}

// Bytes returns how much the pool keeps.
func (p *Pool) Bytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// Trim gives everything that is not in use back to the system.
func (p *Pool) Trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, all := range []*sizes{&p.used, &p.zeroed} {
		for i, list := range all {
			for _, b := range list {
				offheap.Free(b)
				p.bytes -= len(b)
			}
			all[i] = nil
		}
	}
}

// Close is Trim for good: tables that are freed later give their memory to the system at
// once.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Trim()
}
