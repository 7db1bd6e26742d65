package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPermutation(t *testing.T) {
	for _, n := range []int{2, 3, 64, 65, 1000, 4097} {
		p := NewPermutation(n, 3)
		seen := make([]bool, n)
		ascents := 0
		last := uint64(0)
		for i := range n {
			at := p.At(uint64(i))
			if at >= uint64(n) || seen[at] {
				t.Fatalf("n %d: %d stands at place %d and elsewhere", n, at, i)
			}
			seen[at] = true
			if at > last {
				ascents++
			}
			last = at
		}
		if n > 100 && (ascents < n*2/5 || ascents > n*3/5) {
			t.Errorf("n %d: %d ascents are not those of a random order", n, ascents)
		}
	}
}

// The most popular rank has a share of 1/zeta, rank i a share of 1/(i+1)^theta of that.
func TestZipfShape(t *testing.T) {
	const n, draws = 1000, 400_000
	counts := make([]int, n)
	for _, rank := range Latest.choices(rand.New(rand.NewPCG(1, 2)), n, draws) {
		counts[rank]++
	}
	zeta := 0.0
	for i := 1; i <= n; i++ {
		zeta += math.Pow(float64(i), -zipfTheta)
	}
	for _, rank := range []int{0, 1, 2, 9, 99} {
		want := draws / zeta / math.Pow(float64(rank+1), zipfTheta)
		// Between ranks 2 and 10 the method's own error is up to 20 %.
		if got := float64(counts[rank]); math.Abs(got-want) > 0.25*want {
			t.Errorf("rank %d: %v draws, want %.0f", rank, got, want)
		}
	}
	upper := 0
	for _, c := range counts[:n/10] {
		upper += c
	}
	if share := float64(upper) / draws; share < 0.65 || share > 0.73 { // exactly 0.69
		t.Errorf("the most popular tenth has a share of %.2f", share)
	}
}

// Zipfian has the same shape, but the popular ones are anywhere.
func TestZipfianIsScattered(t *testing.T) {
	const n, draws = 1000, 100_000
	counts := make([]int, n)
	for _, c := range Zipfian.choices(rand.New(rand.NewPCG(1, 2)), n, draws) {
		counts[c]++
	}
	upper := 0
	for _, c := range counts[:n/10] {
		upper += c
	}
	if share := float64(upper) / draws; share > 0.45 {
		t.Errorf("the first tenth of the key space has a share of %.2f", share)
	}
	slices.Sort(counts)
	if top := float64(counts[n-1]) / draws; top < 0.10 || top > 0.16 { // exactly 0.13
		t.Errorf("the most popular one has a share of %.3f", top)
	}
}

func TestUniform(t *testing.T) {
	const n, draws = 100, 100_000
	counts := make([]int, n)
	for _, c := range Uniform.choices(rand.New(rand.NewPCG(1, 2)), n, draws) {
		counts[c]++
	}
	if low, high := slices.Min(counts), slices.Max(counts); low < 800 || high > 1200 {
		t.Errorf("from %d to %d draws, want about %d", low, high, draws/n)
	}
}

func TestKeys(t *testing.T) {
	for _, s := range Shapes {
		var last []byte
		for _, n := range []uint64{0, 1, 9, 10, 255, 256, 99_999, 1 << 33} {
			k := s.AppendKey([]byte("x"), n)[1:]
			if len(k) != KeySize || s.Number(k) != n {
				t.Errorf("%s: key %x of %d gives back %d", s, k, n, s.Number(k))
			}
			if s.inOrder() && bytes.Compare(k, last) <= 0 {
				t.Errorf("%s: %x is not above %x", s, k, last)
			}
			last = k
		}
	}
	if got, want := string(Decimal.AppendKey(nil, 120)), "0000000000000120"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValues(t *testing.T) {
	for _, size := range []int{minValueBytes, 9, 16, 99, 100, 1024} {
		v := AppendValue([]byte("x"), size, 7, 3)[1:]
		if !IsValue(v, size, 7) || generation(v) != 3 {
			t.Errorf("size %d: %x is no value", size, v)
		}
		if IsValue(v, size, 8) && size > minValueBytes {
			t.Errorf("size %d: %x is that of another key, too", size, v)
		}
		for bit := range 8 * size {
			v[bit/8] ^= 1 << (bit % 8)
			if IsValue(v, size, 7) {
				t.Errorf("size %d: bit %d may be flipped", size, bit)
			}
			v[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// What a reader may see while two writers are at work.
func TestLedger(t *testing.T) {
	d := newDataset(Counter, 10, 100)
	l := d.withLedger()
	none := acked{}
	first := l.next(0, 4)
	allowed := func(g uint32, seen acked) bool { return l.check(d, 4, g, &seen) == nil }
	if !allowed(0, none) || !allowed(first, none) || allowed(first+16, none) {
		t.Error("before the acknowledgement: the loaded value or the write under way")
	}
	l.wrote(0, 4)
	var after acked
	l.before(4, &after)
	if allowed(0, after) || !allowed(first, after) || !allowed(0, none) {
		t.Error("after the acknowledgement: the write, for reads that began later")
	}
	if other := l.next(1, 4); !allowed(other, after) || other == first {
		t.Error("the other writer's write under way may be seen")
	}
	l.wrote(0, 4)
	l.before(4, &after)
	if allowed(first, after) {
		t.Error("a write that the same writer has overwritten may not be seen")
	}
}

// The table of Zipf gives what the formula gives.
func TestZipfTable(t *testing.T) {
	for _, n := range []int{2, 3, 1000, 1_000_000} {
		z := NewZipf(n, zipfTheta)
		half := math.Pow(0.5, zipfTheta)
		eta := (1 - math.Pow(2/float64(n), 1-zipfTheta)) / (1 - (1+half)/z.zeta)
		for i := range 10_000 {
			u := (float64(i) + 0.5) / 10_000
			want := float64(n) * math.Pow(eta*u-eta+1, 1/(1-zipfTheta))
			if u*z.zeta < 1+half {
				continue
			}
			if got := float64(z.Rank(u)); math.Abs(got-min(want, float64(n-1))) > 1+want*1e-3 {
				t.Fatalf("n %d, u %v: rank %v, the formula gives %.1f", n, u, got, want)
			}
		}
	}
}

// Each is At, whatever the length.
func TestPermutationEach(t *testing.T) {
	for _, n := range []int{2, 65, 1000, 1024, 1025} {
		p := NewPermutation(n, 7)
		var v, want []uint64
		for i := range uint64(n) {
			v, want = append(v, i), append(want, p.At(i))
		}
		if p.Each(v); !slices.Equal(v, want) {
			t.Errorf("of %d: %v, want %v", n, v, want)
		}
	}
}
