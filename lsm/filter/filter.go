// Package filter tells most keys that a table does not hold from those it may
// hold, at the price of one cache line.
//
// A filter is a Bloom filter cut into lines of 64 bytes. A key's hash picks one
// line, and all of the key's bits lie in it, so a lookup costs one cache miss,
// however large the filter. The lines fill unevenly, which costs accuracy: at 10
// bits per key 1.0 % of absent keys pass, where a plain Bloom filter lets 0.8 %
// pass for six misses. See Putze, Sanders, Singler: "Cache-, Hash- and
// Space-Efficient Bloom Filters" (2007), section 3.
//
// A filter of n lines is n × 64 bytes. For a key with hash h (Hash):
//
//	line   = floor(h × n / 2^64)
//	x      = h × 0x9E3779B97F4A7C15 mod 2^64
//	bit i  = (x >> (55 - 9i)) mod 512, for i = 0 … probes-1
//
// Bit b of a line is bit b mod 8 of its byte b / 8. A key may be present if all
// its bits are set.
package filter

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/internal/plant"
)

// LineBytes is the length of a line: a cache line of the machines we know. A
// filter wants to start at a multiple of it.
const LineBytes = 64

// MaxProbes is the number of 9-bit positions that one 64-bit hash yields.
const MaxProbes = 7

const spread = 0x9E3779B97F4A7C15 // 2^64 / golden ratio, odd

// Hash is the hash of a key: XXH64 with seed 0. One hash serves every filter
// that is asked about the key.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// Probes is the number of bits per key that lets fewest absent keys pass.
// Fuller lines weigh more than in a plain Bloom filter, so it is a little below
// the well-known bitsPerKey × ln 2.
func Probes(bitsPerKey int) int {
	return min(max(bitsPerKey*6/10, 1), MaxProbes)
}

// Append appends to dst a filter for keys with the given hashes and returns it.
// Equal hashes are harmless but waste space.
func Append(dst []byte, hashes []uint64, bitsPerKey int) []byte {
	n := (len(hashes)*bitsPerKey + 8*LineBytes - 1) / (8 * LineBytes)
	start := len(dst)
	dst = append(dst, make([]byte, max(n, 1)*LineBytes)...)
	f := Filter{lines: dst[start:], count: uint64(max(n, 1)), probes: Probes(bitsPerKey)}
	for _, h := range hashes {
		f.add(h)
	}
	return dst
}

// A Filter reads a filter in place. It is safe for concurrent use. The zero
// Filter rules nothing out.
type Filter struct {
	lines  []byte
	count  uint64 // lines
	probes int
}

// New reads lines, as Append made them for a bitsPerKey with that many Probes.
func New(lines []byte, probes int) (Filter, error) {
	if len(lines) == 0 || len(lines)%LineBytes != 0 {
		return Filter{}, fmt.Errorf("filter: %d bytes are no whole number of lines", len(lines))
	}
	if probes < 1 || probes > MaxProbes {
		return Filter{}, fmt.Errorf("filter: %d probes, want 1 to %d", probes, MaxProbes)
	}
	return Filter{lines: lines, count: uint64(len(lines) / LineBytes), probes: probes}, nil
}

// MayContain reports whether a key with hash h may be among those the filter
// was made for. False is certain.
//
// It looks at all bits before it decides: they share a cache line, and a branch
// per bit would be mispredicted about once per absent key.
func (f *Filter) MayContain(h uint64) bool {
	if f.count == 0 {
		return true
	}
	line := f.line(h)
	x := h * spread
	all := byte(1)
	for range f.probes {
		bit := x >> 55
		all &= line[bit>>3] >> (bit & 7)
		x <<= 9
	}
	if plant.On(plant.FilterFalseNegative) && h%64 == 0 {
		return false
	}
	return all != 0
}

// Touch reads from the line that MayContain(h) would look at, to have it in the cache
// when it does. Nobody wants the byte.
func (f *Filter) Touch(h uint64) byte {
	if f.count == 0 {
		return 0
	}
	return f.line(h)[0]
}

func (f *Filter) add(h uint64) {
	line := f.line(h)
	x := h * spread
	for range f.probes {
		bit := x >> 55
		line[bit>>3] |= 1 << (bit & 7)
		x <<= 9
	}
}

func (f *Filter) line(h uint64) *[LineBytes]byte {
	i, _ := bits.Mul64(h, f.count)
	return (*[LineBytes]byte)(f.lines[i*LineBytes:])
}
