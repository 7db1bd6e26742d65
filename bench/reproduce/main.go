// Command reproduce finds out whether runs keep to what each says of the others: it runs "stator bench run" several times, one run after the other,
// and counts in how many pairs the figure of one lies in the interval that the other one gave ("another run", 95 %).
//
//	go run ./bench/reproduce [-runs 12] [-rounds 3] [-scale 4] [-target stator] [-history] [-keep DIR] [workload ...]
//
// Every ordered pair of runs counts. With -history each run knows those before it. With -keep the results stay in a directory, and runs whose results are there
// are not repeated: so it goes on where it was stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/statordb/stator/bench/program"
	"github.com/statordb/stator/bench/result"
)

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 12, "how many runs")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each")
	flag.IntVar(&o.scale, "scale", 4, "divide keys, counts and times of the workloads by this")
	flag.StringVar(&o.target, "target", "stator", "what is measured")
	flag.StringVar(&o.metrics, "metrics", "time,p50,p90,p99,cpu", "metrics, separated by commas")
	flag.BoolVar(&o.history, "history", false, "let each run know those before it")
	flag.StringVar(&o.keep, "keep", "", "keep the results in this directory, and do not repeat runs that are there")
	flag.StringVar(&o.program, "program", "", "a stator that is built already; default this tree's")
	flag.Parse()
	if o.workloads = flag.Args(); len(o.workloads) == 0 {
		o.workloads = []string{"fillrandom", "readrandom", "readmissing", "seekrandom", "ycsb-a"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	runs, rounds, scale    int
	target, metrics        string
	history                bool
	keep, program          string
	workloads, metricNames []string
}

func (o *options) run(ctx context.Context) (err error) {
	o.metricNames = strings.Split(o.metrics, ",")
	for _, name := range o.metricNames {
		if _, err := result.MetricOf(name); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "stator-reproduce-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.program, err = program.Build(ctx, dir, o.program); err != nil {
		return err
	}
	if o.keep == "" {
		o.keep = dir
	}
	if err := os.MkdirAll(o.keep, 0o755); err != nil {
		return err
	}
	var runs []*result.File
	begin := time.Now()
	for i := range o.runs {
		f, err := o.one(ctx, i)
		if err != nil {
			return err
		}
		runs = append(runs, f)
		fmt.Fprintf(os.Stderr, "run %d of %d, %v\n", i+1, o.runs, time.Since(begin).Round(time.Second))
	}
	return o.print(runs)
}

// one makes a run, or reads what it gave.
func (o *options) one(ctx context.Context, i int) (*result.File, error) {
	out := filepath.Join(o.keep, fmt.Sprintf("run-%02d.json", i))
	if f, err := result.Read(out); err == nil {
		return f, nil
	}
	args := append(slices.Clone(o.workloads), "--target="+o.target, fmt.Sprint("--rounds=", o.rounds), fmt.Sprint("--scale=", o.scale))
	if o.history {
		args = append(args, "--history="+filepath.Join(o.keep, "history"))
	}
	f, err := program.Run(ctx, o.program, out, args...)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", i+1, err)
	}
	return f, nil
}

// A count is of pairs.
type count struct {
	within, pairs float64
	width         float64 // sum over pairs: the upper bound as a multiple of the median
}

func (c *count) add(other count) {
	c.within, c.pairs, c.width = c.within+other.within, c.pairs+other.pairs, c.width+other.width
}

// agree counts the pairs of a figure's runs for a metric.
func agree(runs []*result.File, name string, m result.Metric) (c count) {
	for i, a := range runs {
		f := a.Find(name)
		if f == nil {
			continue
		}
		in := m.Another(f)
		for j, b := range runs {
			g := b.Find(name)
			if i == j || g == nil || in.Level == 0 {
				continue
			}
			c.pairs++
			c.width += in.High / in.Median
			if v := m.Spread(g).Median; v >= in.Low && v <= in.High {
				c.within++
			}
		}
	}
	return c
}

func (o *options) print(runs []*result.File) error {
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "%d runs of %d rounds\tothers had\tmetric\tpairs\tin the interval\tits bounds, on average\tleast and greatest run\t\n", len(runs), o.rounds)
	var all count
	for _, figure := range runs[0].Figures {
		for _, metric := range o.metricNames {
			m, err := result.MetricOf(metric)
			if err != nil {
				return err
			}
			c := agree(runs, figure.Name(), m)
			if c.pairs == 0 {
				continue
			}
			all.add(c)
			low, high := span(runs, figure.Name(), m)
			fmt.Fprintf(t, "%s\t%.0f %%\t%s\t%.0f\t%.1f %%\t×÷ %.2f\t×%.2f\t\n", figure.Name(), 100*others(runs, figure.Name()), metric, c.pairs, 100*c.within/c.pairs, c.width/c.pairs, high/low)
		}
	}
	fmt.Fprintf(t, "all\t\t\t%.0f\t%.1f %%\t×÷ %.2f\t\t\n", all.pairs, 100*all.within/max(all.pairs, 1), all.width/max(all.pairs, 1))
	return t.Flush()
}

// span is from the least to the greatest of all runs.
func span(runs []*result.File, name string, m result.Metric) (low, high float64) {
	for _, r := range runs {
		if f := r.Find(name); f != nil {
			v := m.Spread(f).Median
			if high = max(high, v); low == 0 || v < low {
				low = v
			}
		}
	}
	return low, high
}

// others is which share of the machine others had while the figure was measured.
func others(runs []*result.File, name string) float64 {
	sum, n := 0.0, 0.0
	for _, r := range runs {
		f := r.Find(name)
		if f == nil {
			continue
		}
		for _, s := range f.Samples {
			if s.Machine != nil {
				sum, n = sum+s.Machine.Others, n+1
			}
		}
	}
	return sum / max(n, 1)
}
