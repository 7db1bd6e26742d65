package drive

import (
	"math"
	"testing"
)

const draws = 200_000

func counts(t *testing.T, k Keys) (byKey []int, p *plan) {
	t.Helper()
	w := &Workload{Name: "x", Keys: k, Operations: map[Kind]float64{Get: 1}}
	w.setDefaults()
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	p = newPlan(w)
	byKey = make([]int, w.Keys.Count)
	r, op := rand(7), Op{}
	for range draws {
		one(p, &r, &op)
		byKey[op.Key]++
	}
	return byKey, p
}

// one draws one operation.
func one(p *plan, r *rand, op *Op) {
	ops := make([]Op, 1)
	p.draw(r, ops)
	*op = ops[0]
}

// within tells whether got is within four standard deviations of a count with that mean.
func within(got int, mean float64) bool { return math.Abs(float64(got)-mean) < 4*math.Sqrt(mean)+1 }

func TestUniform(t *testing.T) {
	by, _ := counts(t, Keys{Count: 100, Choose: Uniform})
	chi := 0.0
	for _, n := range by {
		d := float64(n) - draws/100
		chi += d * d / (draws / 100)
	}
	if chi > 170 { // 99 degrees of freedom: p < 1e-5
		t.Errorf("chi-squared is %.0f", chi)
	}
}

// The key of rank i has 1/(i+1)^theta of what the first one has.
func TestZipfian(t *testing.T) {
	for _, theta := range []float64{0.5, 0.99} {
		by, p := counts(t, Keys{Count: 1000, Choose: Zipfian, Theta: theta})
		zeta := 0.0
		for i := range 1000 {
			zeta += math.Pow(float64(i+1), -theta)
		}
		for rank := range uint64(2) { // of these the method's probabilities are exact
			mean := draws / zeta * math.Pow(float64(rank+1), -theta)
			if got := by[p.scatter.At(rank)]; !within(got, mean) {
				t.Errorf("theta %v, rank %d: %d of %d, want about %.0f", theta, rank, got, draws, mean)
			}
		}
	}
}

func TestHotspot(t *testing.T) {
	by, p := counts(t, Keys{Count: 1000, Choose: Hotspot, HotKeys: 0.05, HotOperations: 0.9})
	hot := 0
	for i := range p.hot {
		hot += by[p.scatter.At(i)]
	}
	if p.hot != 50 || !within(draws-hot, draws*0.1) {
		t.Errorf("%d hot keys get %d of %d", p.hot, hot, draws)
	}
}

func TestLatestFollowsInserts(t *testing.T) {
	w := &Workload{Name: "x", Keys: Keys{Count: 100, Choose: Latest}, Operations: map[Kind]float64{Get: 1, Insert: 1}}
	w.setDefaults()
	p := newPlan(w)
	r, op := rand(1), Op{}
	inserted, newest := 0, 0
	for range 10_000 {
		one(p, &r, &op)
		switch {
		case op.Kind == Insert && op.Key != uint64(100+inserted):
			t.Fatalf("insert %d is of key %d", inserted, op.Key)
		case op.Kind == Insert:
			inserted++
		case op.Key >= uint64(100+inserted):
			t.Fatalf("read of key %d, of which there are %d", op.Key, 100+inserted)
		case op.Key == uint64(99+inserted):
			newest++
		}
	}
	if newest < 600 { // a fifth of the reads
		t.Errorf("the newest key was read %d times of %d", newest, 10_000-inserted)
	}
}

func TestInOrder(t *testing.T) {
	for _, c := range []Choice{Sequential, Scattered} {
		by, _ := counts(t, Keys{Count: draws / 4, Choose: c})
		for k, n := range by {
			if n != 4 {
				t.Fatalf("%s: key %d was chosen %d times instead of 4", c, k, n)
			}
		}
	}
}

func TestShares(t *testing.T) {
	w := &Workload{Name: "x", Operations: map[Kind]float64{Get: 3, Put: 1}}
	w.setDefaults()
	p := newPlan(w)
	r, op, gets := rand(3), Op{}, 0
	for range draws {
		if one(p, &r, &op); op.Kind == Get {
			gets++
		}
		if p.kinds[op.place] != op.Kind {
			t.Fatalf("%s stands at place %d", op.Kind, op.place)
		}
	}
	if !within(draws-gets, draws/4) {
		t.Errorf("%d of %d are gets, want three of four", gets, draws)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		v         Values
		min, max  int
		low, high float64 // of the mean
	}{
		{Values{Size: 100}, 100, 100, 100, 100},
		{Values{Min: 10, Max: 20}, 10, 20, 14.9, 15.1},
		{Values{Min: 100, Max: 10_000, Skew: true}, 100, 10_000, 2000, 2300}, // 9900/ln 100 = 2150
		{Values{Weights: []Weight{{100, 9}, {1000, 1}}}, 100, 1000, 185, 195},
	} {
		if err := c.v.check(); err != nil {
			t.Fatal(err)
		}
		s, r := newSizes(c.v), rand(5)
		least, most, sum := math.MaxInt, 0, 0
		for range draws {
			n := s.draw(&r)
			least, most, sum = min(least, n), max(most, n), sum+n
		}
		if mean := float64(sum) / draws; least < c.min || most > c.max || mean < c.low || mean > c.high {
			t.Errorf("%+v: from %d to %d, mean %.0f", c.v, least, most, mean)
		}
	}
}

// The keys of a batch that is together are of one group, and differ.
func TestTogether(t *testing.T) {
	w := &Workload{Name: "x", Keys: Keys{Count: 60, Group: 6, Together: true}, Batch: 6, Operations: map[Kind]float64{Transact: 1}}
	w.setDefaults()
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	p := newPlan(w)
	r, op := rand(7), Op{}
	for range 200 {
		one(p, &r, &op)
		seen := map[uint64]bool{}
		for i := range op.Length {
			k := op.More(i)
			if k/6 != op.Key/6 || seen[k] {
				t.Fatalf("%d is one of a batch that begins with %d", k, op.Key)
			}
			seen[k] = true
		}
	}
	w.Batch = 7
	if err := w.check(); err == nil {
		t.Error("a batch may be larger than a group")
	}
	w.Batch = 6
	for by := range 100 {
		if s := w.Scaled(by + 1); s.check() != nil {
			t.Errorf("divided by %d: %v", by+1, s.check())
		}
	}
}

// Operations that are drawn ahead are those that are drawn one by one would be: each batch has keys of its own, and what counts over all workers
// is not drawn ahead.
func TestDrawnAhead(t *testing.T) {
	for _, choose := range []Choice{Uniform, Zipfian, Hotspot, Latest, Sequential, Scattered} {
		w := &Workload{Name: "x", Keys: Keys{Count: 1 << 20, Choose: choose}, Operations: map[Kind]float64{GetMany: 1}}
		w.setDefaults()
		p := newPlan(w)
		if counted := choose == Latest || choose == Sequential || choose == Scattered; counted != (p.ahead == 1) {
			t.Errorf("%s is drawn %d at a time", choose, p.ahead)
		}
		if p.ahead == 1 {
			continue
		}
		worker := &worker{rand: 3}
		seen, same := map[uint64]bool{}, 0
		for range p.fill(worker) {
			op := &worker.ops[worker.at]
			worker.at++
			if second := op.More(1); seen[second] {
				same++
			} else {
				seen[second] = true
			}
		}
		if worker.at != ahead || same > ahead/2 { // zipfian: the hottest key comes often
			t.Errorf("%s: the second keys of %d batches are %d", choose, worker.at, len(seen))
		}
	}
	w := &Workload{Name: "x", Operations: map[Kind]float64{Get: 1, Insert: 1}}
	w.setDefaults()
	if p := newPlan(w); p.ahead != 1 {
		t.Errorf("inserts are drawn %d at a time", p.ahead)
	}
}
