package result

import (
	"fmt"
	"math"
	"slices"

	"github.com/statordb/stator/bench/drive"
)

// An Interval says where another run lies: with the same workload and number of rounds, on the same machine, which is as busy as it was, the median of another
// run's rounds lies between Low and High in Level of all cases. It is no confidence interval of the mean, which would be narrower, and holds
// for a machine that does not change between runs.
//
// Runs differ more than the rounds of one run show, since a machine wanders. So the width comes from three things, each with as much weight as
// it has values (see foresee): what runs of this kind of figure differed by on the machines where this was tried, and more the more of the machine others
// had; how far the rounds scatter; and how far earlier runs lie apart.
type Interval struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Level  float64 `json:"level"`          // 0.95
	Runs   int     `json:"runs,omitempty"` // earlier ones that it rests on
}

// Level is the share of other runs that lie in an Interval.
const Level = 0.95

// A prior is how far rounds of one run scatter where nothing more is known: a standard deviation of logarithms.
type prior struct {
	still float64 // on a machine that does nothing else
	busy  float64 // that comes on top of it when others have all of the machine
}

// priors are by metric. The busy parts were fitted to 29 runs of six workloads on two processors of which others had 70 to 90 %; BENCHMARKS.md has what came
// of it. The still ones are as large as virtual machines were seen to wander within an hour when nothing else ran.
var priors = map[string]prior{
	"time": {0.04, 0.4}, "rate": {0.04, 0.4}, "cpu": {0.04, 0.15}, "simspeed": {0.04, 0.15},
	"p50": {0.04, 0.15}, "p90": {0.06, 0.2}, "p99": {0.08, 0.3}, "p999": {0.2, 1.1}, "max": {0.4, 0.4},
	"allocs": {0.05, 0.3}, "rss": {0.02, 0.1}, "disk": {0.02, 0.1}, "writeamp": {0.02, 0.1}, "spaceamp": {0.02, 0.1},
	"stall": {0.5, 0.5}, "silence": {0.3, 0.5}, "recovery": {0.3, 0.5},
}

const (
	// priorWeight is how many degrees of freedom a prior counts for.
	priorWeight = 4

	// between is the variance from run to run as a share of that of rounds in one run, when these are spread over it; medianCost
	// what a median of n values has more variance than 1/n of theirs.
	between    = 0.75
	medianCost = 1.4
)

// Another is where another run's median lies. The zero Interval: that is not known, as of counts that were 0.
func (m Metric) Another(f *Figure) Interval {
	if i, ok := f.AnotherRun[m.Name]; ok {
		return i
	}
	return m.foresee(f, nil)
}

// An earlierRun is one of the same figure.
type earlierRun struct {
	commit string
	median float64
}

// foresee takes earlier runs, oldest first, of which the last one is that of f.
//
// All is done with logarithms, since machines are slower by a share. With v the variance of rounds, of which the prior and the rounds are
// both estimates, two runs of n rounds differ by a variance of 2v(between + medianCost/n). Earlier runs are an estimate of that, too, each of which
// takes the place of one degree of freedom of the others. Student's distribution stands for what so few values do not tell.
func (m Metric) foresee(f *Figure, runs []earlierRun) Interval {
	p, ok := priors[m.Name]
	values := m.All(f)
	if !ok || len(values) == 0 || slices.Min(values) <= 0 {
		return Interval{}
	}
	n := float64(len(values))
	scale := p.still + p.busy*f.others()
	free := priorWeight + n - 1
	rounds := (priorWeight*scale*scale + squares(values)) / free
	variance := 2 * rounds * (between + medianCost/n)
	moves, steps := apart(runs)
	weight := max(1, free-steps)
	variance = (weight*variance + moves) / (weight + steps)
	free = max(free, weight+steps)
	middle := m.Spread(f).Median
	factor := math.Exp(student(free) * math.Sqrt(variance))
	if middle/factor <= 0 || math.IsInf(middle*factor, 0) { // of numbers that no machine gives
		return Interval{}
	}
	return Interval{middle, middle / factor, middle * factor, Level, int(steps)}
}

// apart is a sum of squares, each of which has the variance by which two runs differ, and how many they are. Runs of one commit lie about their mean: far apart in
// time they differ more than neighbours, since a machine's moods last. From one commit to the next only the step counts, so that what became faster or slower long
// ago does not count for ever.
func apart(runs []earlierRun) (sum, n float64) {
	for from := 0; from < len(runs); {
		to := from
		var medians []float64
		for ; to < len(runs) && runs[to].commit == runs[from].commit; to++ {
			medians = append(medians, runs[to].median)
		}
		sum, n = sum+2*squares(medians), n+float64(to-from-1)
		if from > 0 {
			d := math.Log(runs[from].median / runs[from-1].median)
			sum, n = sum+d*d, n+1
		}
		from = to
	}
	return sum, n
}

// others is which share of the machine others had while the rounds ran; 0 if that is not known.
func (f *Figure) others() float64 {
	sum, n := 0.0, 0.0
	for _, s := range f.Samples {
		if s.Machine != nil {
			sum, n = sum+s.Machine.Others, n+1
		}
	}
	return sum / max(n, 1)
}

// squares is the sum of the squares of how far the values lie from their mean, in logarithms.
func squares(values []float64) (sum float64) {
	mean := 0.0
	for _, v := range values {
		mean += math.Log(v) / float64(len(values))
	}
	for _, v := range values {
		sum += (math.Log(v) - mean) * (math.Log(v) - mean)
	}
	return sum
}

// student is the quantile of Student's distribution that 2.5 % exceed, for at least four degrees of freedom: the expansion of Fisher and Cornish, true
// to 0.5 %.
func student(free float64) float64 {
	const z = 1.959964
	z3, z5, z7 := math.Pow(z, 3), math.Pow(z, 5), math.Pow(z, 7)
	return z + (z3+z)/(4*free) + (5*z5+16*z3+3*z)/(96*math.Pow(free, 2)) + (3*z7+19*z5+17*z3-15*z)/(384*math.Pow(free, 3))
}

// Wander is by how much, as a logarithm, runs of the metric differ that were made one after the other, beyond what their rounds tell: a standard
// deviation of one run.
func (m Metric) Wander(f *Figure) float64 {
	p := priors[m.Name]
	return (p.still + p.busy*f.others()) * math.Sqrt(between)
}

// Foresee says of each figure where another run lies. Earlier results, oldest first, count if they have the same workload, target and
// number of rounds, and come from a machine of the same kind.
func (f *File) Foresee(earlier []*File) {
	for _, g := range f.Figures {
		g.AnotherRun = nil
		var before []*File
		for _, e := range earlier {
			h := e.Find(g.Name())
			if h != nil && e.Time.Before(f.Time) && e.Environment.sameMachine(&f.Environment) && len(h.Samples) == len(g.Samples) && drive.Alike(h.Workload, g.Workload) {
				before = append(before, e)
			}
		}
		before = append(before[max(0, len(before)-maxEarlier):], f)
		intervals := map[string]Interval{}
		for _, m := range Metrics {
			var runs []earlierRun
			for _, e := range before {
				if v := m.Spread(e.Find(g.Name())).Median; v > 0 {
					runs = append(runs, earlierRun{e.Commit, v})
				}
			}
			if i := m.foresee(g, runs); i.Level > 0 {
				intervals[m.Name] = i
			}
		}
		if len(intervals) > 0 {
			g.AnotherRun = intervals
		}
	}
}

// maxEarlier is how many earlier runs count: what is older was another machine.
const maxEarlier = 30

func (e *Environment) sameMachine(other *Environment) bool {
	return e.OS == other.OS && e.Arch == other.Arch && e.Processor == other.Processor && e.CPUs == other.CPUs && e.MaxProcs == other.MaxProcs
}

// Text writes it for people, as distances from the median: "±5 %", or a factor if it is more than half.
func (i Interval) Text() string {
	if i.Level == 0 {
		return ""
	}
	if factor := i.High / i.Median; factor > 1.5 {
		return fmt.Sprintf("×÷ %.1f", factor)
	}
	return fmt.Sprintf("−%.0f +%.0f %%", math.Ceil(100*(1-i.Low/i.Median)), math.Ceil(100*(i.High/i.Median-1)))
}
