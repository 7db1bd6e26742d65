// Command rates finds out how often "stator bench gate" is wrong: it builds this commit with the engine made slower by
// some percent, and not at all, and has the gate judge each build several times.
//
//	go run ./bench/rates [-slower 0,2,5,10,30] [-trials 5] [-rounds 12]
//
// A build is made slower by a loop in Get and Apply of the engine, as long as that share of what an operation costs
// in processor time, which is measured first. All of it happens in a clone that is deleted at the end: nothing of it is in
// this tree, and no program that is released has the loop.
//
// Only processor time is judged, which is what can be judged while other programs run. The samples of each trial are judged at
// several thresholds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/statordb/stator/bench/gate"
	"github.com/statordb/stator/bench/result"
)

func main() {
	slower := flag.String("slower", "0,2,5,10,30", "by how many percent, separated by commas; 0 is a second build of the same")
	o := options{}
	flag.IntVar(&o.trials, "trials", 5, "how often the gate judges each build")
	flag.IntVar(&o.rounds, "rounds", 12, "pairs of runs in each trial")
	flag.BoolVar(&o.together, "together", false, "let both sides of a pair take turns of 20 ms")
	flag.StringVar(&o.keep, "keep", "", "keep the programs in this directory, and use those that are there")
	flag.StringVar(&o.json, "json", "", "write what each trial found to this file, a line for each")
	flag.Parse()
	for _, text := range strings.Split(*slower, ",") {
		p, err := strconv.ParseFloat(text, 64)
		if err != nil || p < 0 {
			fmt.Fprintf(os.Stderr, "-slower %s: no percent\n", text)
			os.Exit(2)
		}
		o.slower = append(o.slower, p)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	slower         []float64
	trials, rounds int
	together       bool
	keep, json     string
}

// thresholds at which each trial is judged.
var thresholds = []float64{0.01, 0.02, 0.05}

// workloads are short, so that many trials are possible: 200,000 gets, and as many puts.
var workloads = []string{
	`{"name": "reads", "keys": {"count": 20000}, "operations": {"get": 1}, "count": 200000, "length": "60s", "warmup": "50ms"}`,
	`{"name": "writes", "keys": {"count": 20000}, "operations": {"put": 1}, "count": 200000, "length": "60s", "warmup": "50ms"}`,
}

func (o *options) run(ctx context.Context) (err error) {
	tmp, err := os.MkdirTemp("", "stator-rates-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	b := &builder{ctx: ctx, tmp: tmp, source: filepath.Join(tmp, "source"), programs: tmp}
	if o.keep != "" {
		if b.programs, err = filepath.Abs(o.keep); err != nil {
			return err
		}
		if err := os.MkdirAll(b.programs, 0o755); err != nil {
			return err
		}
	}
	base, err := b.build("base", 0, 0)
	if err != nil {
		return err
	}
	files := []string{}
	for i, text := range workloads {
		file := filepath.Join(tmp, fmt.Sprint("workload-", i, ".json"))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		files = append(files, file)
	}
	reads, writes, err := o.costs(ctx, base, tmp, files)
	if err != nil {
		return err
	}
	step := spinCost()
	fmt.Printf("a get costs %.0f ns of processor time, a put %.0f; a step of the loop %.2f\n", reads, writes, step)
	heads := map[float64]string{}
	for _, p := range o.slower {
		if heads[p], err = b.build(fmt.Sprint("slower-", p), int(p/100*reads/step), int(p/100*writes/step)); err != nil {
			return err
		}
	}
	table := map[float64]*row{}
	for trial := range o.trials { // all builds in each, so that what the machine does falls on all
		for _, p := range o.slower {
			r := table[p]
			if r == nil {
				r = &row{slower: p, verdicts: map[float64]map[gate.Verdict]int{}}
				table[p] = r
			}
			if err := o.trial(ctx, base, heads[p], tmp, files, r); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "trial %d of %d, %v %%\n", trial+1, o.trials, p)
		}
		if err := o.print(table); err != nil {
			return err
		}
	}
	return nil
}

// A row is what the gate said of one build.
type row struct {
	slower   float64
	worse    []float64 // medians of all trials and figures
	verdicts map[float64]map[gate.Verdict]int
}

// trial runs the gate once and judges its samples at each threshold.
func (o *options) trial(ctx context.Context, base, head, tmp string, files []string, r *row) error {
	keep := filepath.Join(tmp, "keep")
	args := append([]string{"bench", "gate", "--base-program=" + base, "--head-program=" + head, "--scale=1", "--dir=" + tmp, "--keep=" + keep, fmt.Sprint("--rounds=", o.rounds), fmt.Sprint("--together=", o.together)}, files...)
	out, err := exec.CommandContext(ctx, base, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == gate.ExitRegression || exit.ExitCode() == gate.ExitInconclusive)) {
		return fmt.Errorf("gate: %w\n%s", err, out)
	}
	baseFile, err := result.Read(filepath.Join(keep, "base.json"))
	if err != nil {
		return err
	}
	headFile, err := result.Read(filepath.Join(keep, "head.json"))
	if err != nil {
		return err
	}
	for _, t := range thresholds {
		report, err := gate.Compare(baseFile, headFile, gate.Options{Thresholds: gate.Thresholds{"cpu": t}})
		if err != nil {
			return err
		}
		for _, figure := range report.Rows {
			if r.verdicts[t] == nil {
				r.verdicts[t] = map[gate.Verdict]int{}
			}
			r.verdicts[t][figure.Verdict]++
			if t == thresholds[0] {
				r.worse = append(r.worse, figure.Worse)
			}
		}
	}
	if o.json == "" {
		return nil
	}
	return o.log(r)
}

// log adds what is known of the row so far.
func (o *options) log(r *row) error {
	f, err := os.OpenFile(o.json, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	verdicts := map[string]map[gate.Verdict]int{}
	for t, n := range r.verdicts {
		verdicts[fmt.Sprint(t)] = n
	}
	err = json.NewEncoder(f).Encode(map[string]any{"slower": r.slower, "worse": r.worse, "verdicts": verdicts})
	return errors.Join(err, f.Close())
}

// print writes the table so far.
func (o *options) print(table map[float64]*row) error {
	fmt.Printf("\n| build slower by | verdicts | measured | ")
	for _, t := range thresholds {
		fmt.Printf("at %.0f %%: regression / inconclusive / same / better | ", 100*t)
	}
	fmt.Printf("\n|--:|--:|--:|%s\n", strings.Repeat("--:|", len(thresholds)))
	for _, p := range o.slower {
		r := table[p]
		if r == nil {
			continue
		}
		low, high, sum := r.worse[0], r.worse[0], 0.0
		for _, w := range r.worse {
			low, high, sum = min(low, w), max(high, w), sum+w
		}
		fmt.Printf("| %v %% | %d | %+.1f %% (%+.1f to %+.1f) |", p, len(r.worse), 100*(sum/float64(len(r.worse))-1), 100*(low-1), 100*(high-1))
		for _, t := range thresholds {
			v := r.verdicts[t]
			fmt.Printf(" %d / %d / %d / %d |", v[gate.Regression], v[gate.Inconclusive], v[gate.Same], v[gate.Better])
		}
		fmt.Println()
	}
	return nil
}

// costs measures what an operation of each workload costs.
func (o *options) costs(ctx context.Context, program, tmp string, files []string) (reads, writes float64, err error) {
	out := filepath.Join(tmp, "costs.json")
	args := append([]string{"bench", "run", "--rounds=5", "--no-probe", "--json=" + out, "--dir=" + tmp}, files...)
	if text, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("bench run: %w\n%s", err, text)
	}
	f, err := result.Read(out)
	if err != nil {
		return 0, 0, err
	}
	cpu, err := result.MetricOf("cpu")
	if err != nil {
		return 0, 0, err
	}
	return cpu.Spread(f.Find("reads/stator")).Median, cpu.Spread(f.Find("writes/stator")).Median, nil
}
