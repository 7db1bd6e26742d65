package drive

import (
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A tally counts values as an HdrHistogram of three digits does, with the same buckets, and costs less: one counter is written for each
// value. About once a second it is poured into histograms, which happens between two operations.
//
//	values    0 … 2047   2048 … 4095   4096 … 8191   …
//	a bucket   1 ns          2 ns          4 ns
//	index     0 … 2047   2048 … 3071   3072 … 4095   …
type tally struct {
	counts  []uint32
	touched uint32 // bit b: something was counted at an index from b*1024 on, below (b+1)*1024
}

const (
	tallyBits  = 10 // a block has 2^tallyBits buckets of one width
	tallyBlock = 1 << tallyBits
)

// tallySize is behind the index of what is longest.
const tallySize = 31 * tallyBlock

func newTally() tally { return tally{counts: make([]uint32, tallySize)} }

// add counts a value that is from 0 to Longest.
func (t *tally) add(value int64) {
	width := bits.Len64(uint64(value)|(2*tallyBlock-1)) - (tallyBits + 1)
	index := width<<tallyBits + int(uint64(value)>>(width&63))
	t.counts[index]++
	t.touched |= 1 << (uint(index) >> tallyBits & 31)
}

// least is the least value at the index.
func least(index int) int64 {
	if index < 2*tallyBlock {
		return int64(index)
	}
	width := index>>tallyBits - 1
	return int64(index-width<<tallyBits) << width
}

// pour moves all counts into the histograms.
func (t *tally) pour(into ...*hdrhistogram.Histogram) {
	for left := t.touched; left != 0; left &= left - 1 {
		from := bits.TrailingZeros32(left) << tallyBits
		for i, n := range t.counts[from : from+tallyBlock] {
			if n == 0 {
				continue
			}
			t.counts[from+i] = 0
			for _, h := range into {
				h.RecordValues(least(from+i), int64(n)) // in range
			}
		}
	}
	t.touched = 0
}

// inRange is a time as it is counted.
func inRange(t int64) int64 { return min(max(t, 1), int64(Longest)) }

// a second of a series.
const second = int64(time.Second)
