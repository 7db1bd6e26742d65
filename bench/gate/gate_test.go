package gate

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
)

// A machine gives times of runs. Its speed wanders, which both builds feel alike, and each run
// has noise of its own, now and then a large one.
type machine struct {
	r            *rand.Rand
	speed        float64
	wander, own  float64
	rare, burden float64
}

func busy(seed uint64) *machine {
	return &machine{r: rand.New(rand.NewPCG(seed, 5)), speed: 1, wander: 0.04, own: 0.015, rare: 0.05, burden: 0.3}
}

func (m *machine) run(cost float64) float64 {
	m.speed *= math.Exp(m.wander * m.r.NormFloat64())
	m.speed = min(max(m.speed, 0.5), 2)
	t := cost * m.speed * math.Exp(m.own*m.r.NormFloat64())
	if m.r.Float64() < m.rare {
		t *= 1 + m.burden*m.r.Float64()
	}
	return t
}

func file(turns string) *result.File {
	w := &drive.Workload{Name: "w"}
	return &result.File{Version: 1, Turns: turns, Figures: []*result.Figure{{Workload: w, Target: "t"}}}
}

func add(f *result.File, round int, ns float64) {
	s := &result.Sample{Round: round, Rate: 1e9 / ns, CPUPerOp: ns, Latency: result.Percentiles{P99: int64(10 * ns)}}
	f.Figures[0].Samples = append(f.Figures[0].Samples, s)
}

// measured runs base and a head that costs slower times as much, in turns or one after the
// other.
func measured(m *machine, rounds int, slower float64, turns bool) (base, head *result.File) {
	base, head = file(""), file("")
	if turns {
		base.Turns, head.Turns = "x", "x"
	}
	for i := range rounds {
		switch {
		case !turns:
			add(base, i, m.run(1000))
		case i%2 == 0:
			add(base, i, m.run(1000))
			add(head, i, m.run(1000*slower))
		default:
			add(head, i, m.run(1000*slower))
			add(base, i, m.run(1000))
		}
	}
	for i := range rounds {
		if !turns {
			add(head, i, m.run(1000*slower))
		}
	}
	return base, head
}

// The gate's false alarms and misses, for a threshold of 5 % of one metric. docs/bench.md has
// the table: go test ./bench/gate -run Rates -v.
func TestRates(t *testing.T) {
	const trials = 300
	rates := func(rounds int, slower float64, turns bool) map[Verdict]float64 {
		n := map[Verdict]float64{}
		for trial := range trials {
			base, head := measured(busy(uint64(trial)), rounds, slower, turns)
			r, err := Compare(base, head, Options{Thresholds: Thresholds{"time": 0.05}})
			if err != nil {
				t.Fatal(err)
			}
			n[r.Rows[0].Verdict] += 100.0 / trials
		}
		t.Logf("%2d rounds, in turns %-5v, slower by %4.0f %%: regression %5.1f %%, inconclusive %5.1f %%, same %5.1f %%, better %5.1f %%",
			rounds, turns, 100*(slower-1), n[Regression], n[Inconclusive], n[Same], n[Better])
		return n
	}
	for _, rounds := range []int{10, 20, 40} {
		for _, slower := range []float64{1, 1.02, 1.05, 1.10, 1.30} {
			n := rates(rounds, slower, true)
			switch {
			case slower == 1 && n[Regression]+n[Better] > 1:
				t.Errorf("%d rounds: false alarms in %.1f %%", rounds, n[Regression]+n[Better])
			case slower == 1.02 && n[Regression] > 5:
				t.Errorf("%d rounds: 2 %% are below the threshold, but a regression in %.1f %%", rounds, n[Regression])
			case slower == 1.10 && n[Same]+n[Better] > 0.5 || slower == 1.30 && n[Regression] < 95 || slower == 1.10 && rounds >= 20 && n[Regression] < 90:
				t.Errorf("%d rounds: misses at %.0f %%: %v", rounds, 100*(slower-1), n)
			}
		}
	}
	// One after the other, drift looks like a difference: with intervals of both sides it is at least
	// seldom taken for one.
	if n := rates(20, 1, false); n[Regression] > 20 {
		t.Errorf("apart: false alarms in %.1f %%", n[Regression])
	}
}

// Two files that were not made in turns, but on a machine that does not drift, are compared
// soundly.
func TestApart(t *testing.T) {
	wrong := 0
	for trial := range 200 {
		m := busy(uint64(trial))
		m.wander = 0
		base, head := measured(m, 20, 1, false)
		r, err := Compare(base, head, Options{Thresholds: Thresholds{"time": 0.01}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Paired {
			t.Fatal("taken for paired")
		}
		if v := r.Rows[0].Verdict; v == Regression || v == Better {
			wrong++
		}
	}
	if wrong > 6 { // 3 %; the intervals promise 5
		t.Errorf("%d false alarms of 200", wrong)
	}
	base, head := measured(busy(1), 30, 1.3, true)
	base.Turns = "another"
	if r, err := Compare(base, head, Options{}); err != nil || r.Paired {
		t.Errorf("%+v, %v: results of different turns are no pairs", r, err)
	}
}

// Half of the intervals' complement lies on each side: of identical builds the interval has 1 inside
// as often as it promises.
func TestCoverage(t *testing.T) {
	out := 0
	const trials = 400
	for trial := range trials {
		base, head := measured(busy(uint64(1000+trial)), 20, 1, true)
		r, err := Compare(base, head, Options{Thresholds: Thresholds{"time": 0.05}})
		if err != nil {
			t.Fatal(err)
		}
		if row := r.Rows[0]; row.Low > 1 || row.High < 1 {
			out++
		}
	}
	if out > trials*7/100 { // 5 % and chance
		t.Errorf("the interval misses the truth in %d of %d", out, trials)
	}
}

func TestFewRoundsAreInconclusive(t *testing.T) {
	base, head := measured(busy(3), 4, 1.3, true)
	r, err := Compare(base, head, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Exit() != ExitInconclusive || !strings.Contains(r.Rows[0].Note, "need") {
		t.Errorf("exit code %d: %+v", r.Exit(), r.Rows[0])
	}
	// As many as the note asks for are enough, and one less is not.
	for _, paired := range []bool{true, false} {
		enough := roundsFor(r.Confidence, paired)
		for _, n := range []int{enough - 1, enough} {
			base, head := measured(busy(3), n, 1.3, paired)
			again, err := Compare(base, head, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if row := again.Rows[0]; (n == enough) != (row.Low > 0 && !math.IsInf(row.High, 1)) {
				t.Errorf("paired %v, %d rounds: %+v", paired, n, row)
			}
		}
	}
}

// Figures of one name are compared only if their workloads ask for the same; defaults that one file does not have are no difference.
func TestDifferentWorkloads(t *testing.T) {
	base, head := measured(busy(1), 8, 1, true)
	head.Figures[0].Workload = &drive.Workload{Name: "w", About: "x", Attempts: 1}
	if _, err := Compare(base, head, Options{}); err != nil {
		t.Errorf("with a default: %v", err)
	}
	head.Figures[0].Workload = &drive.Workload{Name: "w", Keys: drive.Keys{Count: 7}}
	if _, err := Compare(base, head, Options{}); err == nil || !strings.Contains(err.Error(), "different workloads") {
		t.Errorf("other keys: %v", err)
	}
	same := &drive.Workload{Name: "v"}
	base.Figures = append(base.Figures, &result.Figure{Workload: same, Target: "t", Samples: base.Figures[0].Samples})
	head.Figures = append(head.Figures, &result.Figure{Workload: same, Target: "t", Samples: base.Figures[0].Samples})
	r, err := Compare(base, head, Options{})
	if err != nil || r.Exit() != ExitInconclusive || len(r.Different) != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		slower float64
		want   int
	}{{1, ExitSame}, {1.3, ExitRegression}, {0.7, ExitSame}} {
		m := busy(8)
		m.rare, m.wander, m.own = 0, 0.01, 0.005
		base, head := measured(m, 20, c.slower, true)
		r, err := Compare(base, head, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var text, markdown bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		if err := r.Markdown(&markdown); err != nil {
			t.Fatal(err)
		}
		if r.Exit() != c.want || len(r.Rows) != 3 {
			t.Errorf("slower %v: exit code %d, want %d\n%s", c.slower, r.Exit(), c.want, text.String())
		}
		if c.slower == 1.3 && (!strings.Contains(text.String(), "3 regressions") || !strings.Contains(markdown.String(), "**regression**")) {
			t.Errorf("%s\n%s", text.String(), markdown.String())
		}
	}
	base, head := measured(busy(1), 20, 1, true)
	head.Figures[0].Workload = &drive.Workload{Name: "other"}
	if _, err := Compare(base, head, Options{}); err == nil {
		t.Error("nothing in common, and no error")
	}
	head.Figures = append(head.Figures, base.Figures...)
	if r, err := Compare(base, head, Options{}); err != nil || r.Exit() == ExitSame || len(r.Missing) != 1 {
		t.Errorf("a figure is missing: %+v, %v", r, err)
	}
}

func TestThresholds(t *testing.T) {
	got, err := ParseThresholds([]string{"p99=5%", "cpu=off", "rate=0.2"})
	if err != nil || fmt.Sprint(got) != "map[p99:0.05 rate:0.2 time:0.05]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"p99", "p98=5%", "p99=-1%", "p99=x", "p99=NaN"} {
		if _, err := ParseThresholds([]string{bad}); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}

func TestChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	level := func(n int, mean float64) (v []float64) {
		for range n {
			v = append(v, mean*(1+0.02*r.NormFloat64()))
		}
		return v
	}
	near := func(got, want []int) bool {
		return slices.EqualFunc(got, want, func(a, b int) bool { return a >= b-1 && a <= b+1 })
	}
	for _, c := range []struct {
		name   string
		levels []float64
		want   []int
	}{
		{"none", []float64{100}, nil},
		{"one", []float64{100, 110}, []int{20}},
		{"there and back", []float64{100, 130, 100}, []int{20, 40}},
	} {
		var v []float64
		for _, l := range c.levels {
			v = append(v, level(20, l)...)
		}
		if got, _ := Changes(v); !near(got, c.want) {
			t.Errorf("%s: changes at %v, want %v", c.name, got, c.want)
		}
	}
	wrong := 0
	for range 60 {
		if at, _ := Changes(level(30, 100)); len(at) > 0 {
			wrong++
		}
	}
	if wrong > 4 { // 1 % of 60, and chance
		t.Errorf("changes where there are none, in %d of 60 histories", wrong)
	}
	if at, _ := Changes(nil); at != nil {
		t.Errorf("of nothing: %v", at)
	}
}

// bestSplit's running sums give what the formula gives.
func TestBestSplitAgainstTheFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 50 {
		v := make([]float64, 6+r.IntN(20))
		for i := range v {
			v[i] = r.Float64()
		}
		mean := func(a, b []float64, within bool) float64 {
			sum, n := 0.0, 0.0
			for i := range a {
				for j := range b {
					if !within || i < j {
						sum, n = sum+math.Abs(a[i]-b[j]), n+1
					}
				}
			}
			return sum / n
		}
		best := 0.0
		for k := minLevel; k <= len(v)-minLevel; k++ {
			a, b := v[:k], v[k:]
			n, m := float64(len(a)), float64(len(b))
			best = max(best, n*m/(n+m)*(2*mean(a, b, false)-mean(a, a, true)-mean(b, b, true)))
		}
		if _, q := bestSplit(v); math.Abs(q-best) > 1e-9 {
			t.Fatalf("%v, the formula gives %v", q, best)
		}
	}
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	for i := range 24 {
		f := file("")
		f.Time = time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		f.Commit = fmt.Sprint("commit", i)
		ns := 1000.0 + float64(i%3)
		if i >= 12 {
			ns *= 1.2
		}
		add(f, 0, ns)
		if err := f.Write(fmt.Sprintf("%s/%02d.json", dir, 23-i)); err != nil { // the order is by time
			t.Fatal(err)
		}
	}
	files, err := result.ReadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := History(files, Thresholds{"time": 0.05})
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Commit != "commit12" || math.Abs(changes[0].Worse-1.2) > 0.01 || HistoryExit(changes) != ExitRegression {
		t.Errorf("%+v", changes)
	}
	var b bytes.Buffer
	if err := HistoryText(&b, len(files), changes); err != nil || !strings.Contains(b.String(), "commit12") {
		t.Errorf("%v: %s", err, b.String())
	}
	if _, err := result.ReadFolder(t.TempDir()); err == nil {
		t.Error("an empty folder is no error")
	}
}
