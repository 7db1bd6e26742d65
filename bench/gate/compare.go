package gate

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"

	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
)

// A Verdict is what a comparison ends with.
type Verdict string

// The verdicts.
const (
	Same         Verdict = "same"         // not worse than the threshold, for sure
	Better       Verdict = "better"       // better than the threshold, for sure
	Regression   Verdict = "regression"   // worse for sure, and by more than the threshold
	Inconclusive Verdict = "inconclusive" // more rounds are needed, or a quieter machine
)

// What commands end with.
const (
	ExitSame         = 0 // or better
	ExitError        = 1
	ExitUsage        = 2
	ExitRegression   = 3
	ExitInconclusive = 4
)

// Options of a comparison.
type Options struct {
	Thresholds Thresholds // nil: Defaults
	Confidence float64    // that not one verdict of all is a false alarm; 0: 0.95
}

// A Row is one metric of one figure.
type Row struct {
	Figure, Metric, Unit string

	Base, Head float64 // medians

	// Worse is by how much head is worse than base, as a ratio: 1.05 is 5 % worse, whether
	// less or more is better. Low and High bound it at the confidence asked for.
	Worse, Low, High float64

	P         float64 // of a Mann-Whitney U test that both come from one distribution
	Rounds    int
	Paired    bool
	Threshold float64
	Verdict   Verdict
	Note      string
}

// A Report is what a comparison found.
type Report struct {
	Rows       []Row
	Missing    []string // figures that only one file has, or that failed in one
	Different  []string // figures of one name whose workloads are not the same: nothing is compared
	Confidence float64  // of each row
	Paired     bool
}

// Compare judges head by base. They are paired, round by round, if they were made in turns.
func Compare(base, head *result.File, o Options) (*Report, error) {
	if o.Thresholds == nil {
		o.Thresholds = Defaults()
	}
	o.Confidence = cmp.Or(o.Confidence, 0.95)
	if !(o.Confidence > 0.5 && o.Confidence < 1) {
		return nil, fmt.Errorf("confidence %v is not between 0.5 and 1", o.Confidence)
	}
	r := &Report{Paired: base.Turns != "" && base.Turns == head.Turns}
	type job struct {
		b, h *result.Figure
		m    result.Metric
	}
	var jobs []job
	for _, b := range base.Figures {
		h := head.Find(b.Name())
		if h == nil || len(h.Samples) == 0 || len(b.Samples) == 0 {
			r.Missing = append(r.Missing, b.Name())
			continue
		}
		if !drive.Alike(b.Workload, h.Workload) {
			r.Different = append(r.Different, b.Name())
			continue
		}
		for _, name := range o.Thresholds.names() {
			m, err := result.MetricOf(name)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, job{b, h, m})
		}
	}
	for _, h := range head.Figures {
		if base.Find(h.Name()) == nil {
			r.Missing = append(r.Missing, h.Name())
		}
	}
	if len(jobs) == 0 && len(r.Different) > 0 {
		return nil, fmt.Errorf("the two results measured different workloads under the same names: %s", strings.Join(r.Different, ", "))
	}
	if len(jobs) == 0 {
		return nil, errors.New("the two results have no figure in common")
	}
	// Bonferroni: all rows together have one chance of a false alarm.
	r.Confidence = 1 - (1-o.Confidence)/float64(len(jobs))
	for _, j := range jobs {
		row := Row{Figure: j.b.Name(), Metric: j.m.Name, Unit: j.m.Unit, Threshold: o.Thresholds[j.m.Name], Paired: r.Paired,
			Base: j.m.Spread(j.b).Median, Head: j.m.Spread(j.h).Median}
		if row.Base == 0 && row.Head == 0 {
			continue // not known on this target
		}
		row.judge(j.b, j.h, j.m, r.Confidence)
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

func (r *Row) judge(base, head *result.Figure, m result.Metric, confidence float64) {
	b, h := m.All(base), m.All(head)
	if r.Rounds = min(len(b), len(h)); m.More {
		b, h = h, b // worse is then the inverse
	}
	if slices.Min(b) <= 0 || slices.Min(h) <= 0 {
		r.Worse, r.Low, r.High, r.P = math.NaN(), 0, math.Inf(1), 1
		r.Verdict, r.Note = Inconclusive, "some rounds have no value"
		return
	}
	var s benchmath.Summary
	if r.Paired {
		s = pairs(base, head, m, confidence)
	} else {
		s = apart(b, h, confidence, math.Hypot(m.Wander(base), m.Wander(head)))
	}
	r.Worse, r.Low, r.High = s.Center, s.Lo, s.Hi
	r.P = benchmath.AssumeNothing.Compare(sample(b), sample(h)).P
	r.Verdict = verdict(r.Worse, r.Low, r.High, r.Threshold)
	if len(s.Warnings) > 0 {
		r.Note = s.Warnings[0].Error()
	}
	if math.IsInf(r.High, 1) || r.Low <= 0 {
		r.Note = fmt.Sprintf("%d rounds say nothing at %.4g %%: %d are needed", r.Rounds, 100*confidence, roundsFor(confidence, r.Paired))
	}
}

// roundsFor is how many rounds an interval of the median takes: its bounds are at the widest the least and the greatest value, which
// miss the median if all lie on one side.
func roundsFor(confidence float64, paired bool) int {
	miss := 1 - confidence
	if !paired { // the medians of both sides are bounded, each with half the chance
		miss /= 2
	}
	return 1 + int(math.Ceil(math.Log2(1/miss)))
}

// verdict needs the whole interval on one side.
func verdict(worse, low, high, threshold float64) Verdict {
	switch {
	case low > 1 && worse > 1+threshold:
		return Regression
	case high < 1 && worse < 1/(1+threshold):
		return Better
	case high <= 1+threshold:
		return Same
	}
	return Inconclusive
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// pairs summarises the ratios of the rounds that both have.
func pairs(base, head *result.Figure, m result.Metric, confidence float64) benchmath.Summary {
	byRound := map[int]float64{}
	for _, s := range base.Samples {
		byRound[s.Round] = m.Of(s)
	}
	var ratios []float64
	for _, s := range head.Samples {
		if b, h := byRound[s.Round], m.Of(s); b > 0 && h > 0 {
			if m.More {
				b, h = h, b
			}
			ratios = append(ratios, h/b)
		}
	}
	if len(ratios) == 0 {
		return benchmath.Summary{Center: math.NaN(), Lo: 0, Hi: math.Inf(1), Warnings: []error{errors.New("no rounds in common")}}
	}
	return benchmath.AssumeNothing.Summary(sample(ratios), confidence)
}

// apart bounds the ratio of two medians by the bounds of each. Both hold at once with the
// confidence asked for. between is by how much runs of one build differ, as the standard deviation of a logarithm.
func apart(base, head []float64, confidence, between float64) benchmath.Summary {
	each := 1 - (1-confidence)/2
	b, h := benchmath.AssumeNothing.Summary(sample(base), each), benchmath.AssumeNothing.Summary(sample(head), each)
	s := benchmath.Summary{Center: h.Center / b.Center, Lo: max(0, h.Lo/b.Hi), Hi: h.Hi / max(0, b.Lo), Warnings: append(b.Warnings, h.Warnings...)}
	if math.IsNaN(s.Lo) {
		s.Lo = 0
	}
	if math.IsNaN(s.Hi) {
		s.Hi = math.Inf(1)
	}
	wander := math.Hypot(math.Hypot(drift(base), drift(head)), math.Sqrt2*math.Erfinv(confidence)*between)
	s.Lo, s.Hi = s.Lo*math.Exp(-wander), s.Hi*math.Exp(wander)
	return s
}

// drift is by how much, as a logarithm, one part of a result lies from the others: the halves,
// and the thirds. Between two results the machine may have drifted as far again, which no interval from within
// either knows of.
func drift(values []float64) float64 {
	most := 0.0
	for _, parts := range []int{2, 3} {
		n := len(values) / parts
		if n < 2 {
			continue
		}
		var levels []float64
		for i := range parts {
			levels = append(levels, math.Log(median(values[i*n:(i+1)*n])))
		}
		most = max(most, slices.Max(levels)-slices.Min(levels))
	}
	return most
}

// Exit is the exit code of a report.
func (r *Report) Exit() int {
	switch worst := r.worst(); {
	case worst == Regression:
		return ExitRegression
	case worst == Inconclusive, len(r.Missing) > 0, len(r.Different) > 0, len(r.Rows) == 0:
		return ExitInconclusive
	}
	return ExitSame
}

// worst is Regression if one row is that, else Inconclusive if one is, else Same.
func (r *Report) worst() Verdict {
	worst := Same
	for _, row := range r.Rows {
		switch row.Verdict {
		case Regression:
			return Regression
		case Inconclusive:
			worst = Inconclusive
		}
	}
	return worst
}

func (r *Row) change() string {
	bound := func(v float64) string {
		switch {
		case math.IsInf(v, 0):
			return "∞"
		case v <= 0:
			return "−∞"
		}
		return fmt.Sprintf("%+.1f", 100*(v-1))
	}
	if math.IsNaN(r.Worse) {
		return "?"
	}
	return fmt.Sprintf("%+.1f %% [%s, %s]", 100*(r.Worse-1), bound(r.Low), bound(r.High))
}

func (r *Row) values() (base, head string) {
	write := func(v float64) string { return fmt.Sprintf("%.4g", v) }
	if strings.Contains(r.Unit, "ns") {
		write = result.Span
	}
	return write(r.Base), write(r.Head)
}

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmetric\tbase\thead\tworse by [interval]\tthreshold\trounds\tverdict\t")
	for i := range r.Rows {
		row := &r.Rows[i]
		base, head := row.values()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.3g %%\t%d\t%s\t%s\n", row.Figure, row.Metric, base, head, row.change(), 100*row.Threshold, row.Rounds, row.Verdict, row.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(r.remarks(), "\n"))
	return err
}

func (r *Report) remarks() []string {
	how := "Pairs of neighbouring rounds are compared."
	if !r.Paired {
		how = "The results were not made in turns (stator bench gate does that). Their intervals are widened by how far each drifted within itself, and by how far runs of one build lie apart (docs/bench.md); a machine that drifted further between them still looks like a difference."
	}
	remarks := []string{how, fmt.Sprintf("Each interval holds with %.4g %%. Above 0: head is worse.", 100*r.Confidence)}
	if len(r.Missing) > 0 {
		remarks = append(remarks, "Only in one of them: "+strings.Join(r.Missing, ", "))
	}
	if len(r.Different) > 0 {
		remarks = append(remarks, "Not compared, because their workloads differ: "+strings.Join(r.Different, ", "))
	}
	if len(r.Rows) == 0 {
		remarks = append(remarks, "None of the metrics is known of both.")
	}
	return append(remarks, r.summary())
}

func (r *Report) summary() string {
	n := map[Verdict]int{}
	for _, row := range r.Rows {
		n[row.Verdict]++
	}
	return fmt.Sprintf("%d regressions, %d inconclusive, %d better, %d the same.", n[Regression], n[Inconclusive], n[Better], n[Same])
}

// Markdown writes the report for a pull request.
func (r *Report) Markdown(w io.Writer) error {
	fmt.Fprintf(w, "**%s**\n\n| figure | metric | base | head | worse by [interval] | threshold | verdict |\n|---|---|--:|--:|--:|--:|---|\n", r.summary())
	for i := range r.Rows {
		row := &r.Rows[i]
		base, head := row.values()
		verdict := string(row.Verdict)
		if row.Verdict != Same {
			verdict = "**" + verdict + "**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %.3g %% | %s %s |\n", strings.ReplaceAll(row.Figure, "|", `\|`), row.Metric, base, head, row.change(), 100*row.Threshold, verdict, row.Note)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(r.remarks()[:2], " "))
	return err
}
