package gate

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/statordb/stator/bench/result"
)

// A Change is a place in a history from which on a metric has another level.
type Change struct {
	Figure, Metric string
	At             int     // the first result of the new level
	Before, After  float64 // medians of the levels
	Worse          float64 // as in a Row
	P              float64 // of a permutation test that there is no change
	Since          time.Time
	Commit         string // of the first result of the new level
	Recent         bool   // the new level is that of the last result
}

// changeAlpha is the chance that a place without a change is called one.
const changeAlpha = 0.01

// permutations give a least p of 1/(n+1).
const permutations = 499

// minLevel is how many results a level has at least.
const minLevel = 3

// Changes divides a series where the level changes: E-Divisive means by Matteson and James
// ("A Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", JASA 2014), as
// in Daly et al., "The Use of Change Point Detection to Identify Software Performance Regressions in
// a Continuous Integration System", ICPE 2020. It assumes no distribution. The same
// values give the same changes.
func Changes(values []float64) (at []int, p []float64) {
	r := rand.New(rand.NewPCG(1, uint64(len(values))))
	var divide func(from, to int)
	divide = func(from, to int) {
		part := values[from:to]
		if len(part) < 2*minLevel {
			return
		}
		split, q := bestSplit(part)
		shuffled, atLeast := slices.Clone(part), 0
		for range permutations {
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if _, other := bestSplit(shuffled); other >= q {
				atLeast++
			}
		}
		chance := float64(atLeast+1) / (permutations + 1)
		if chance > changeAlpha {
			return
		}
		divide(from, from+split)
		at, p = append(at, from+split), append(p, chance)
		divide(from+split, to)
	}
	divide(0, len(values))
	return at, p
}

// bestSplit finds the split with the greatest distance between both sides: twice the mean
// distance between a value of one and one of the other, less those within each, weighted by sizes. Time is in
// proportion to the square of the length.
func bestSplit(v []float64) (split int, q float64) {
	n := len(v)
	var left, right, cross float64 // sums of distances
	for j := range v {
		for i := range j {
			right += math.Abs(v[i] - v[j])
		}
	}
	for k := 1; k < n; k++ { // v[k-1] goes to the left
		for i := range k - 1 {
			d := math.Abs(v[i] - v[k-1])
			left, cross = left+d, cross-d
		}
		for j := k; j < n; j++ {
			d := math.Abs(v[j] - v[k-1])
			right, cross = right-d, cross+d
		}
		if k < minLevel || n-k < minLevel {
			continue
		}
		a, b := float64(k), float64(n-k)
		e := 2*cross/(a*b) - 2*left/(a*(a-1)) - 2*right/(b*(b-1))
		if e *= a * b / (a + b); e > q {
			split, q = k, e
		}
	}
	if split == 0 {
		split = minLevel
	}
	return split, q
}

// History finds the changes that are at least as large as the thresholds.
func History(files []*result.File, t Thresholds) ([]Change, error) {
	var names []string
	for _, f := range files {
		for _, g := range f.Figures {
			if !slices.Contains(names, g.Name()) {
				names = append(names, g.Name())
			}
		}
	}
	var changes []Change
	for _, name := range names {
		for _, metric := range t.names() {
			m, err := result.MetricOf(metric)
			if err != nil {
				return nil, err
			}
			changes = append(changes, changesOf(files, name, m, t[metric])...)
		}
	}
	return changes, nil
}

func changesOf(files []*result.File, name string, m result.Metric, threshold float64) []Change {
	var values []float64
	var from []*result.File
	for _, f := range files {
		if g := f.Find(name); g != nil {
			if v := m.Spread(g).Median; v > 0 {
				values, from = append(values, v), append(from, f)
			}
		}
	}
	at, p := Changes(values)
	bounds := slices.Concat([]int{0}, at, []int{len(values)})
	var changes []Change
	for i, k := range at {
		before, after := median(values[bounds[i]:k]), median(values[k:bounds[i+2]])
		worse := after / before
		if m.More {
			worse = before / after
		}
		if worse < 1+threshold && worse > 1/(1+threshold) {
			continue
		}
		changes = append(changes, Change{name, m.Name, k, before, after, worse, p[i], from[k].Time, from[k].Commit, i == len(at)-1})
	}
	return changes
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// HistoryExit is the exit code: a regression is one that still stands.
func HistoryExit(changes []Change) int {
	for _, c := range changes {
		if c.Recent && c.Worse > 1 {
			return ExitRegression
		}
	}
	return ExitSame
}

// HistoryText writes the changes for a terminal.
func HistoryText(w io.Writer, results int, changes []Change) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(changes) > 0 {
		fmt.Fprintln(t, "figure\tmetric\tfrom\tto\tworse by\tp\tsince\tcommit\t")
	}
	for _, c := range changes {
		state := "over"
		if c.Recent {
			state = "stands"
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g\t%.4g\t%+.1f %%\t%.3f\t%s\t%.12s\t%s\n", c.Figure, c.Metric, c.Before, c.After, 100*(c.Worse-1), c.P, c.Since.Format("2006-01-02 15:04"), c.Commit, state)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d results, %d changes\n", results, len(changes))
	return err
}
