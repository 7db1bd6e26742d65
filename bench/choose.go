package bench

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// A permutation brings [0, n) into an order that looks random, without a list.
type permutation struct {
	n    uint64
	mask uint64 // 2^k-1, the least not below n-1
	half uint
	mul  [3]uint64 // odd
}

func newPermutation(n int, seed uint64) permutation {
	k := max(2, bits.Len64(uint64(n-1)))
	p := permutation{n: uint64(n), mask: 1<<k - 1, half: uint(k+1) / 2}
	for i := range p.mul {
		p.mul[i] = spread(seed*3+uint64(i)+1) | 1
	}
	return p
}

// at returns what stands at place i. Numbers that fall outside of [0, n) are mixed
// again until they fall into it: less than once on average.
func (p *permutation) at(i uint64) uint64 {
	for {
		for _, m := range p.mul {
			i = i * m & p.mask
			i ^= i >> p.half
		}
		if i < p.n {
			return i
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
	z, scatter := newZipf(n), newPermutation(n, 99)
	for i := range chosen {
		if chosen[i] = z.rank(r.Float64()); c == Zipfian {
			chosen[i] = scatter.at(chosen[i])
		}
	}
	return chosen
}

// A zipf draws ranks of which rank i comes with a probability in proportion to
// 1/(i+1)^theta. From Gray et al., "Quickly Generating Billion-Record Synthetic
// Databases", SIGMOD '94, as in YCSB.
type zipf struct {
	n                      float64
	alpha, zeta, eta, half float64
}

const zipfTheta = 0.99

func newZipf(n int) *zipf {
	zeta := 0.0
	for i := 1; i <= n; i++ {
		zeta += math.Pow(float64(i), -zipfTheta)
	}
	half := math.Pow(0.5, zipfTheta)
	return &zipf{
		n: float64(n), alpha: 1 / (1 - zipfTheta), zeta: zeta, half: half,
		eta: (1 - math.Pow(2/float64(n), 1-zipfTheta)) / (1 - (1+half)/zeta),
	}
}

// rank maps u in [0, 1) to a rank.
func (z *zipf) rank(u float64) uint64 {
	switch x := u * z.zeta; {
	case x < 1 || z.n < 2:
		return 0
	case x < 1+z.half:
		return 1
	}
	return uint64(min(z.n-1, z.n*math.Pow(z.eta*u-z.eta+1, z.alpha)))
}
