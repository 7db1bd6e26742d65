package gate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		first, last int
		want        []int
	}{
		{12, 0, []int{12}},
		{12, 12, []int{12}},
		{12, 48, []int{12, 24, 48}},
		{12, 30, []int{12, 24, 30}},
		{1, 3, []int{1, 2, 3}},
	} {
		if got := Looks(c.first, c.last); !slices.Equal(got, c.want) {
			t.Errorf("Looks(%d, %d) = %v, want %v", c.first, c.last, got, c.want)
		}
	}
	if got := OfEach(0.95, 3); math.Abs(3*(1-got)-0.05) > 1e-9 {
		t.Errorf("each of three looks is sure to %v", got)
	}
}

// Who goes on while it is not sure finds what one look does not, and calls no build slower than itself more often than it says. Pairs scatter by 10 %, as on a
// shared machine; a build is slower by 10 %, and judged at 5 %.
func TestGoingOn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	gate := func(slower float64, looks []int) (last Verdict, rounds int) {
		base, head := file("x"), file("x")
		for _, n := range looks {
			for ; rounds < n; rounds++ {
				add(base, rounds, 1000)
				add(head, rounds, 1000*(1+slower)*math.Exp(0.1*r.NormFloat64()))
			}
			report, err := Compare(base, head, Options{Thresholds: Thresholds{"cpu": 0.05}, Confidence: OfEach(0.95, len(looks))})
			if err != nil {
				t.Fatal(err)
			}
			if last = report.Rows[0].Verdict; !report.Undecided() {
				break
			}
		}
		return last, rounds
	}
	const trials = 200
	counts := map[string]int{}
	for range trials {
		if v, _ := gate(0.1, Looks(12, 0)); v == Regression {
			counts["one look"]++
		}
		v, n := gate(0.1, Looks(12, 96))
		if v == Regression {
			counts["up to 96"]++
		}
		counts["rounds"] += n
		if v, _ := gate(0, Looks(12, 96)); v == Regression {
			counts["false"]++
		}
	}
	if counts["up to 96"] < trials*9/10 || counts["one look"] > trials*8/10 {
		t.Errorf("of %d slower builds %d found by one look, %d by going on", trials, counts["one look"], counts["up to 96"])
	}
	if counts["false"] > trials/20 {
		t.Errorf("%d of %d builds called slower than themselves", counts["false"], trials)
	}
	t.Logf("%v; %d rounds each", counts, counts["rounds"]/trials)
}
