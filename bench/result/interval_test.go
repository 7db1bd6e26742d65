package result

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/bench/drive"
)

// A wandering machine gives runs. Its level moves from run to run, and its rounds scatter about it: standard deviations of logarithms.
type wandering struct {
	r            *rand.Rand
	runs, rounds float64
	others       float64
	n, done      int // rounds of a run; runs so far
}

func (m *wandering) run() *File {
	level := math.Exp(m.runs * m.r.NormFloat64())
	g := &Figure{Workload: &drive.Workload{Name: "w"}, Target: "t"}
	for i := range m.n {
		g.Samples = append(g.Samples, &Sample{Round: i, Rate: 1000 * level * math.Exp(m.rounds*m.r.NormFloat64()), Machine: &Machine{Others: m.others}})
	}
	m.done++
	return &File{Time: time.Unix(int64(m.done), 0), Figures: []*Figure{g}}
}

// shareWithin is the share of pairs of runs in which one lies in the interval of the other, and how wide that is on average.
func shareWithin(t *testing.T, runs []*File) (share, width float64) {
	t.Helper()
	rate, err := MetricOf("rate")
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0.0
	for i, a := range runs {
		in := a.Figures[0].AnotherRun["rate"]
		if in.Level != Level || in.Low >= in.Median || in.High <= in.Median {
			t.Fatalf("interval %+v", in)
		}
		width += math.Log(in.High/in.Low) / 2 / float64(len(runs))
		for j, b := range runs {
			if i == j {
				continue
			}
			pairs++
			if v := rate.Spread(b.Figures[0]).Median; v >= in.Low && v <= in.High {
				share++
			}
		}
	}
	return share / pairs, width
}

// Of pairs of runs 95 % agree, as the interval says, on machines that are as the priors take them; on one that wanders more once there is a history; and
// history makes the interval narrower on one that wanders less.
func TestAnotherRun(t *testing.T) {
	for _, c := range []struct {
		name         string
		runs, rounds float64 // how the machine scatters
		others       float64
		n            int
		history      bool
		most         float64 // width, on average
	}{
		{"still", 0.03, 0.02, 0, 3, false, 0.15},
		{"still, five rounds", 0.03, 0.03, 0, 5, false, 0.13},
		{"still, one round", 0.03, 0.03, 0, 1, false, 0.25},
		{"busy", 0.30, 0.35, 0.8, 3, false, 1.7},
		{"busy, five rounds", 0.30, 0.35, 0.8, 5, false, 1.4},
		{"wanders more than others, with history", 0.15, 0.02, 0, 3, true, 0.6},
		{"quiet, with history", 0.005, 0.005, 0, 5, true, 0.07},
	} {
		sum, widths, trials := 0.0, 0.0, 60
		for trial := range trials {
			m := &wandering{r: rand.New(rand.NewPCG(uint64(trial), 3)), runs: c.runs, rounds: c.rounds, others: c.others, n: c.n}
			var earlier, runs []*File
			for range 15 {
				earlier = append(earlier, m.run())
			}
			if !c.history {
				earlier = nil
			}
			for range 12 {
				f := m.run()
				f.Foresee(earlier)
				runs = append(runs, f)
			}
			share, width := shareWithin(t, runs)
			sum, widths = sum+share/float64(trials), widths+width/float64(trials)
		}
		t.Logf("%s: %.1f %% of pairs, a factor of %.2f", c.name, 100*sum, math.Exp(widths))
		if sum < 0.94 || widths > c.most {
			t.Errorf("%s: another run lies in %.1f %% of the intervals, whose width is a factor of %.3f (want at most %.3f)", c.name, 100*sum, math.Exp(widths), math.Exp(c.most))
		}
	}
}

// Earlier results count only if they are of the same machine, workload, target and number of rounds.
func TestForeseeTakesItsOwnHistory(t *testing.T) {
	m := &wandering{r: rand.New(rand.NewPCG(1, 1)), n: 3, rounds: 0.01}
	var earlier []*File
	for range 4 {
		earlier = append(earlier, m.run())
	}
	f := m.run()
	if f.Foresee(earlier); f.Figures[0].AnotherRun["rate"].Runs != 4 {
		t.Errorf("%+v", f.Figures[0].AnotherRun)
	}
	earlier[0].Environment.CPUs = 64
	earlier[1].Figures[0].Workload = &drive.Workload{Name: "w", Workers: 7}
	earlier[2].Figures[0].Target = "another"
	earlier[3].Figures[0].Samples = earlier[3].Figures[0].Samples[:2]
	if f.Foresee(earlier); f.Figures[0].AnotherRun["rate"].Runs != 0 {
		t.Errorf("%+v", f.Figures[0].AnotherRun)
	}
	if i := f.Figures[0].AnotherRun; len(i) != 2 { // rate and time; the rest is not known
		t.Errorf("%+v", i)
	}
	if f.Join(m.run()); f.Figures[0].AnotherRun != nil {
		t.Error("what holds for fewer samples stands for more")
	}
}

func TestStudent(t *testing.T) {
	for free, want := range map[float64]float64{4: 2.776, 6: 2.447, 8: 2.306, 10: 2.228, 30: 2.042, 1e6: 1.960} {
		if got := student(free); math.Abs(got/want-1) > 0.005 {
			t.Errorf("%v degrees of freedom: %.3f, want %.3f", free, got, want)
		}
	}
}

// Every metric that is judged or drawn has a prior, but for the count of errors, of which 0 is the usual one.
func TestPriors(t *testing.T) {
	for _, m := range Metrics {
		if _, ok := priors[m.Name]; ok == (m.Name == "errors") {
			t.Errorf("%s: a prior: %v", m.Name, ok)
		}
	}
}
