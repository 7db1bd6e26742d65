package partition

import (
	"bytes"
	"math/bits"
	"sync/atomic"
)

// heatBuckets is into how many pieces, at most, the hashes of a partition are
// divided to see where requests go.
const heatBuckets = 64

// A Heat counts the requests of a partition by hash, since it was opened or got
// other hashes. Bucket i has the hashes from First + i<<Shift on. Counts wrap.
type Heat struct {
	First    uint64
	Shift    uint8
	Requests [heatBuckets]uint32
}

// A heat is a Heat that is being counted. Every replica counts the writes that it
// applies; reads are counted where they are served.
type heat struct {
	first    uint64
	shift    uint8
	requests [heatBuckets]atomic.Uint32
}

func newHeat(c *Config) *heat {
	return &heat{first: c.First, shift: uint8(max(0, bits.Len64(c.Last-c.First)-bits.Len(heatBuckets-1)))}
}

// warm counts a request that takes so many units.
func (p *Partition) warm(config *Config, hash uint64, units uint32) {
	h := p.heat.Load()
	if h == nil {
		h = newHeat(config)
		if !p.heat.CompareAndSwap(nil, h) {
			h = p.heat.Load()
		}
	}
	if at := (hash - h.first) >> h.shift; at < heatBuckets { // else of other hashes than it has now
		h.requests[at].Add(units)
	}
}

// heatUnit is how many bytes of a page weigh as much as one request.
const heatUnit = 4 << 10

// warmPage counts a page of one item collection. A scan goes everywhere.
func (p *Partition) warmPage(c *Config, r *PageRequest, size int) {
	if len(r.Lower) >= rowPrefix && len(r.Upper) >= rowPrefix && bytes.Equal(r.Lower[:rowPrefix], r.Upper[:rowPrefix]) {
		p.warm(c, RowHash(r.Lower), uint32(1+size/heatUnit))
	}
}

// Heat returns how many requests there were.
func (p *Partition) Heat() Heat {
	var counts Heat
	h := p.heat.Load()
	if h == nil {
		return counts
	}
	counts.First, counts.Shift = h.first, h.shift
	for i := range h.requests {
		counts.Requests[i] = h.requests[i].Load()
	}
	return counts
}

// Since returns how many requests there were after an earlier Heat of the same
// partition. If it had other hashes then, all of h are.
func (h Heat) Since(earlier Heat) Heat {
	if h.First != earlier.First || h.Shift != earlier.Shift {
		return h
	}
	for i := range h.Requests {
		h.Requests[i] -= earlier.Requests[i]
	}
	return h
}

// Total returns the sum of the counts.
func (h Heat) Total() (sum uint64) {
	for _, n := range h.Requests {
		sum += uint64(n)
	}
	return sum
}
