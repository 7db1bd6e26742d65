package drive

import (
	"math"
	"math/bits"
	"sort"
	"sync/atomic"

	"github.com/statordb/stator/bench"
)

// An Op is one operation. Keys are numbers; a target makes bytes of them.
type Op struct {
	Kind   Kind
	Key    uint64
	Size   int // bytes of a value that is written
	Length int // of a scan, query or batch

	place uint8 // of the kind among those of the plan

	random rand // for what a batch needs more of
	plan   *plan
}

// More returns the next key of a batch: the chosen one first.
func (o *Op) More(i int) uint64 {
	if i == 0 || o.plan == nil {
		return o.Key
	}
	if k := &o.plan.keys; k.Together {
		g := uint64(k.Group)
		return o.Key/g*g + (o.Key+uint64(i))%g
	}
	return o.plan.key(&o.random, uint64(i))
}

// A rand is a generator of few instructions (wyrand by Wang Yi): a drawing must
// cost little beside an operation of 200 ns.
type rand uint64

func (r *rand) next() uint64 {
	*r += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(uint64(*r), uint64(*r)^0xe7037ed1a0b428db)
	return hi ^ lo
}

// apart begins another sequence here.
func (r *rand) apart() rand { return *r ^ 0x5851f42d4c957f2d }

// Uint64 makes it a source for what the standard library draws.
func (r *rand) Uint64() uint64 { return r.next() }

// float is in [0, 1).
func (r *rand) float() float64 { return float64(r.next()>>11) / (1 << 53) }

// below is in [0, n).
func (r *rand) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

// A plan draws the operations of a workload. Workers share it.
type plan struct {
	keys    Keys
	n       uint64
	zipf    *bench.Zipf
	scatter bench.Permutation
	hot     uint64 // hotspot: how many keys are hot

	kinds   []Kind
	cuts    []uint64 // between the kinds, as shares of 2^64
	lengths []int    // of scans, queries and batches, by kind
	sizes   sizes
	ahead   int // how many operations may be drawn at a time

	newest atomic.Uint64 // keys that there are, inserted ones included
	serial atomic.Uint64 // operations begun, for Sequential and Scattered
}

func newPlan(w *Workload) *plan {
	p := &plan{
		keys: w.Keys, n: uint64(w.Keys.Count), scatter: bench.NewPermutation(w.Keys.Count, 99),
		sizes: newSizes(w.Values), ahead: ahead,
	}
	if c := w.Keys.Choose; c == Zipfian || c == Latest {
		p.zipf = bench.NewZipf(w.Keys.Count, w.Keys.Theta)
	}
	p.hot = max(1, min(p.n-1, uint64(float64(p.n)*w.Keys.HotKeys)))
	sum := 0.0
	var sums []float64
	for _, k := range Kinds {
		s := w.Operations[k]
		if s <= 0 {
			continue
		}
		sum += s
		length := w.ScanLength
		if k == GetMany || k == PutMany || k == Transact {
			length = w.Batch
		}
		p.kinds, p.lengths, sums = append(p.kinds, k), append(p.lengths, length), append(sums, sum)
	}
	for _, s := range sums[:len(sums)-1] {
		p.cuts = append(p.cuts, uint64(min(s/sum*(1<<64), 1<<64-2048))) // the largest below 1
	}
	if c := w.Keys.Choose; c == Latest || c == Sequential || c == Scattered || w.Operations[Insert] > 0 {
		p.ahead = 1
	}
	if p.newest.Store(p.n); w.Empty {
		p.newest.Store(0)
	}
	return p
}

// fill draws the next operations of a worker. What depends on what has been done so far, or is counted over all workers, is drawn one at a time.
func (p *plan) fill(w *worker) int {
	ops := w.ops[:p.ahead]
	if p.draw(&w.rand, ops); w.open {
		w.pacer.fill(w.due[:p.ahead])
	}
	return p.ahead
}

// draw fills ops in.
func (p *plan) draw(r *rand, ops []Op) {
	for i := range ops {
		op := &ops[i]
		if len(p.kinds) > 1 {
			op.place = p.place(r.next())
		}
		op.Kind, op.Length = p.kinds[op.place], p.lengths[op.place]
		op.Size = p.sizes.draw(r)
		op.plan = p
	}
	if p.keys.Choose == Zipfian && p.ahead > 1 {
		p.zipfian(r, ops)
		return
	}
	for i := range ops {
		if op := &ops[i]; op.Kind == Insert {
			op.Key = p.newest.Add(1) - 1
		} else {
			op.Key = p.key(r, 0)
		}
		ops[i].random = r.apart()
	}
}

// zipfian draws keys as key does, many at once.
func (p *plan) zipfian(r *rand, ops []Op) {
	var keys [ahead]uint64
	for i := range ops {
		keys[i] = p.zipf.Rank(r.float())
		ops[i].random = r.apart()
	}
	p.scatter.Each(keys[:len(ops)])
	for i := range ops {
		ops[i].Key = keys[i]
	}
}

// place is that of the kind whose share the number falls into. There are no branches for a processor to guess.
func (p *plan) place(u uint64) (at uint8) {
	for _, c := range p.cuts {
		_, below := bits.Sub64(u, c, 0)
		at += uint8(1 - below)
	}
	return at
}

// key draws the number of a key. A batch counts in i which of its keys it is.
func (p *plan) key(r *rand, i uint64) uint64 {
	switch p.keys.Choose {
	case Zipfian:
		return p.scatter.At(p.zipf.Rank(r.float()))
	case Latest:
		newest := max(1, p.newest.Load())
		return newest - 1 - min(newest-1, p.zipf.Rank(r.float()))
	case Hotspot:
		if r.float() < p.keys.HotOperations {
			return p.scatter.At(r.below(p.hot))
		}
		return p.scatter.At(p.hot + r.below(p.n-p.hot))
	case Sequential:
		return (p.serial.Add(1) - 1) % p.n
	case Scattered:
		return p.scatter.At((p.serial.Add(1) - 1) % p.n)
	}
	return r.below(p.n)
}

// sizes draw the sizes of values.
type sizes struct {
	fixed     int
	low, high float64 // logarithms if skewed
	skew      bool
	weights   []Weight // Share: sums, up to 1
}

func newSizes(v Values) sizes {
	s := sizes{fixed: v.Size, low: float64(v.Min), high: float64(v.Max), skew: v.Skew}
	if v.Max > 0 && v.Skew {
		s.low, s.high = math.Log(s.low), math.Log(s.high)
	}
	sum := 0.0
	for _, w := range v.Weights {
		sum += w.Share
		s.weights = append(s.weights, Weight{w.Size, sum})
	}
	for i := range s.weights {
		s.weights[i].Share /= sum
	}
	return s
}

func (s *sizes) draw(r *rand) int {
	switch {
	case s.fixed > 0:
		return s.fixed
	case len(s.weights) > 0:
		u := r.float()
		i := sort.Search(len(s.weights)-1, func(i int) bool { return u < s.weights[i].Share })
		return s.weights[i].Size
	case s.skew:
		return int(math.Round(math.Exp(s.low + r.float()*(s.high-s.low))))
	}
	return int(s.low) + int(r.below(uint64(s.high-s.low)+1))
}

// Sizes returns a function that says with how large a value a key is loaded: the
// same for the key each time.
func (w *Workload) Sizes() func(key uint64) int {
	s := newSizes(w.Values)
	return func(key uint64) int {
		r := rand(key * 0x9e3779b97f4a7c15)
		return s.draw(&r)
	}
}
