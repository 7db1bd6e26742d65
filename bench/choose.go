package bench

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// A Permutation brings [0, n) into an order that looks random, without a list.
type Permutation struct {
	n    uint64
	mask uint64 // 2^k-1, the least not below n-1
	half uint
	mul  [3]uint64 // odd
}

// NewPermutation returns one of many.
func NewPermutation(n int, seed uint64) Permutation {
	k := max(2, bits.Len64(uint64(n-1)))
	p := Permutation{n: uint64(n), mask: 1<<k - 1, half: uint(k+1) / 2}
	for i := range p.mul {
		p.mul[i] = spread(seed*3+uint64(i)+1) | 1
	}
	return p
}

// At returns what stands at place i. Numbers that fall outside of [0, n) are mixed
// again until they fall into it: less than once on average.
func (p *Permutation) At(i uint64) uint64 {
	for {
		if i = p.mix(i); i < p.n {
			return i
		}
	}
}

func (p *Permutation) mix(i uint64) uint64 {
	for _, m := range p.mul {
		i = i * m & p.mask
		i ^= i >> p.half
	}
	return i
}

// Each replaces each number by what At returns for it. All are mixed once, then those again that fell outside: so there is no branch that a
// processor guesses wrong every fourth time, and several are under way at once.
func (p *Permutation) Each(v []uint64) {
	const some = 64
	for len(v) > 0 {
		part := v[:min(some, len(v))]
		v = v[len(part):]
		var left [some]uint8 // places in part
		for i := range part {
			left[i] = uint8(i)
		}
		for n := len(part); n > 0; {
			again := 0
			for _, at := range left[:n] {
				x := p.mix(part[at])
				part[at], left[again] = x, at
				_, inside := bits.Sub64(x, p.n, 0)
				again += 1 - int(inside)
			}
			n = again
		}
	}
}

// A Chooser is how workloads choose entries.
type Chooser string

// The choosers, as in YCSB.
const (
	Uniform Chooser = "uniform"
	Zipfian Chooser = "zipfian" // few entries, all over the key space, get most of the requests
	Latest  Chooser = "latest"  // zipfian from the newest entry back
)

// choices draws count choices among n entries. Those of Latest count from the newest
// entry back.
func (c Chooser) choices(r *rand.Rand, n, count int) []uint64 {
	chosen := make([]uint64, count)
	if c != Zipfian && c != Latest {
		for i := range chosen {
			chosen[i] = r.Uint64N(uint64(n))
		}
		return chosen
	}
	z, scatter := NewZipf(n, zipfTheta), NewPermutation(n, 99)
	for i := range chosen {
		if chosen[i] = z.Rank(r.Float64()); c == Zipfian {
			chosen[i] = scatter.At(chosen[i])
		}
	}
	return chosen
}

// A Zipf draws ranks of which rank i comes with a probability in proportion to
// 1/(i+1)^theta. From Gray et al., "Quickly Generating Billion-Record Synthetic
// Databases", SIGMOD '94, as in YCSB.
//
// Their power function costs as much as some point reads, so it is tabulated. From one
// end of a cell to the other it grows by less than 3 %, and a straight line is off by
// less than 2e-4 of a rank's number.
type Zipf struct {
	n, zeta, half float64
	cells         []float64 // ranks, as real numbers, at the cells' bounds; u from 0 to 1
}

const (
	zipfTheta = 0.99
	zipfCells = 1024
)

// NewZipf takes time in proportion to n. Theta is between 0, which is near to uniform,
// and 1, and is neither.
func NewZipf(n int, theta float64) *Zipf {
	zeta := 0.0
	for i := 1; i <= n; i++ {
		zeta += math.Pow(float64(i), -theta)
	}
	half := math.Pow(0.5, theta)
	z := &Zipf{n: float64(n), zeta: zeta, half: half}
	eta := (1 - math.Pow(2/float64(n), 1-theta)) / (1 - (1+half)/zeta)
	for i := range zipfCells + 1 {
		u := float64(i) / zipfCells
		z.cells = append(z.cells, z.n*math.Pow(max(0, eta*u-eta+1), 1/(1-theta)))
	}
	return z
}

// Rank maps u in [0, 1) to a rank.
func (z *Zipf) Rank(u float64) uint64 {
	switch x := u * z.zeta; {
	case x < 1 || z.n < 2:
		return 0
	case x < 1+z.half:
		return 1
	}
	at := u * zipfCells
	i := int(at)
	low, high := z.cells[i], z.cells[i+1]
	return uint64(min(z.n-1, low+(high-low)*(at-float64(i))))
}
