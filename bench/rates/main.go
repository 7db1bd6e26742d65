// Command rates finds out how often "stator bench gate" is wrong: it builds this commit with the engine made slower by
// some percent, and not at all, and has the gate judge each build several times.
//
//	go run ./bench/rates [-slower 0,2,5,10,30] [-trials 5] [-rounds 12] [-together] [-for 7m] [-keep DIR]
//
// With -for it begins no trial that would end later than that. With -keep it goes on where it was stopped. The table is printed at the end, however
// that comes.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/bench/gate"
	"github.com/statordb/stator/bench/program"
	"github.com/statordb/stator/bench/result"
)

func main() {
	slower := flag.String("slower", "0,2,5,10,30", "by how many percent, separated by commas; 0 is a second build of the same")
	o := options{}
	flag.IntVar(&o.trials, "trials", 5, "how often the gate judges each build")
	flag.IntVar(&o.rounds, "rounds", 12, "pairs of runs in each trial")
	flag.BoolVar(&o.together, "together", false, "let both sides of a pair take turns of 20 ms")
	flag.DurationVar(&o.limit, "for", 0, "begin no trial that would end later than this; 0 is no bound")
	flag.StringVar(&o.keep, "keep", "", "keep the programs in this directory and what each trial found, and go on with what is there")
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
	limit          time.Duration
	keep           string
}

// thresholds at which each trial is judged.
var thresholds = []float64{0.01, 0.02, 0.05}

// workloads are short, so that many trials are possible: 200,000 gets, and as many puts.
var workloads = []string{
	`{"name": "reads", "keys": {"count": 20000}, "operations": {"get": 1}, "count": 200000, "length": "60s", "warmup": "50ms"}`,
	`{"name": "writes", "keys": {"count": 20000}, "operations": {"put": 1}, "count": 200000, "length": "60s", "warmup": "50ms"}`,
}

func (o *options) run(ctx context.Context) (err error) {
	begin := time.Now()
	tmp, err := os.MkdirTemp("", "stator-rates-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if o.keep == "" {
		o.keep = tmp
	}
	if o.keep, err = filepath.Abs(o.keep); err != nil {
		return err
	}
	if err := os.MkdirAll(o.keep, 0o755); err != nil {
		return err
	}
	b := &builder{ctx: ctx, tmp: tmp, source: filepath.Join(tmp, "source"), programs: o.keep}
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
	heads, err := o.heads(ctx, b, base, tmp, files)
	if err != nil {
		return err
	}
	done, err := o.before()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "built after %v; %d trials are there\n", time.Since(begin).Round(time.Second), len(done))
	longest := time.Duration(0)
	for number := range o.trials { // all builds in each, so that what the machine does falls on all
		for _, p := range o.slower {
			if o.limit > 0 && time.Since(begin)+longest > o.limit {
				fmt.Fprintf(os.Stderr, "no time is left for another trial of up to %v\n", longest.Round(time.Second))
				return o.print(done)
			}
			if slices.ContainsFunc(done, func(t trial) bool { return t.Slower == p && t.Number == number }) {
				continue
			}
			from := time.Now()
			t, err := o.trial(ctx, base, heads[p], tmp, files)
			if err != nil {
				return errors.Join(err, o.print(done))
			}
			t.Slower, t.Number = p, number
			done = append(done, t)
			if err := o.note(t); err != nil {
				return errors.Join(err, o.print(done))
			}
			longest = max(longest, time.Since(from))
			fmt.Fprintf(os.Stderr, "trial %d of %d, %v %%: %v, %v in all\n", number+1, o.trials, p, time.Since(from).Round(time.Second), time.Since(begin).Round(time.Second))
		}
	}
	return o.print(done)
}

// heads builds all programs that are slower, or finds them.
func (o *options) heads(ctx context.Context, b *builder, base, tmp string, files []string) (map[float64]string, error) {
	reads, writes, step := 0.0, 0.0, 0.0
	heads := map[float64]string{}
	for _, p := range o.slower {
		name := fmt.Sprint("slower-", p)
		if heads[p] = filepath.Join(o.keep, name); exists(heads[p]) {
			continue
		}
		if step == 0 {
			var err error
			if reads, writes, err = o.costs(ctx, base, tmp, files); err != nil {
				return nil, err
			}
			step = spinCost()
			fmt.Fprintf(os.Stderr, "a get costs %.0f ns of processor time, a put %.0f; a step of the loop %.2f\n", reads, writes, step)
		}
		if _, err := b.build(name, int(p/100*reads/step), int(p/100*writes/step)); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// A trial is what the gate said of one build once.
type trial struct {
	Slower   float64   `json:"slower"`
	Number   int       `json:"number"`
	Rounds   int       `json:"rounds"`
	Together bool      `json:"together"`
	Worse    []float64 `json:"worse"` // medians of its figures

	Verdicts [][]gate.Verdict `json:"verdicts"` // of each threshold, of each figure
}

// trial runs the gate once and judges its samples at each threshold.
func (o *options) trial(ctx context.Context, base, head, tmp string, files []string) (t trial, err error) {
	keep := filepath.Join(tmp, "keep")
	args := append([]string{"bench", "gate", "--base-program=" + base, "--head-program=" + head, "--scale=1", "--dir=" + tmp, "--keep=" + keep, fmt.Sprint("--rounds=", o.rounds), fmt.Sprint("--together=", o.together)}, files...)
	out, err := exec.CommandContext(ctx, base, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && (exit.ExitCode() == gate.ExitRegression || exit.ExitCode() == gate.ExitInconclusive)) {
		return t, fmt.Errorf("gate: %w\n%s", err, out)
	}
	baseFile, err := result.Read(filepath.Join(keep, "base.json"))
	if err != nil {
		return t, err
	}
	headFile, err := result.Read(filepath.Join(keep, "head.json"))
	if err != nil {
		return t, err
	}
	t.Rounds, t.Together = o.rounds, o.together
	for i, threshold := range thresholds {
		report, err := gate.Compare(baseFile, headFile, gate.Options{Thresholds: gate.Thresholds{"cpu": threshold}})
		if err != nil {
			return t, err
		}
		var verdicts []gate.Verdict
		for _, figure := range report.Rows {
			verdicts = append(verdicts, figure.Verdict)
			if i == 0 {
				t.Worse = append(t.Worse, figure.Worse)
			}
		}
		t.Verdicts = append(t.Verdicts, verdicts)
	}
	return t, nil
}

func (o *options) trialsFile() string { return filepath.Join(o.keep, "trials.jsonl") }

// note keeps what a trial found, a line for each.
func (o *options) note(t trial) error {
	f, err := os.OpenFile(o.trialsFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(t), f.Close())
}

// before are the trials of a run that was stopped. A line that is not whole ended it, and is left out.
func (o *options) before() (done []trial, err error) {
	text, err := os.ReadFile(o.trialsFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		var t trial
		if json.Unmarshal([]byte(line), &t) == nil && t.Rounds == o.rounds && t.Together == o.together && len(t.Verdicts) == len(thresholds) {
			done = append(done, t)
		}
	}
	return done, err
}

// print writes the table.
func (o *options) print(done []trial) error {
	fmt.Printf("\n| built slower by | verdicts | measured (from, to) |")
	for _, t := range thresholds {
		fmt.Printf(" at %.0f %% |", 100*t)
	}
	fmt.Printf("\n|--:|--:|---|%s\n", strings.Repeat("---|", len(thresholds)))
	for _, p := range o.slower {
		var worse []float64
		counts := make([]map[gate.Verdict]int, len(thresholds))
		for _, t := range done {
			if t.Slower != p {
				continue
			}
			worse = append(worse, t.Worse...)
			for i, verdicts := range t.Verdicts {
				for _, v := range verdicts {
					if counts[i] == nil {
						counts[i] = map[gate.Verdict]int{}
					}
					counts[i][v]++
				}
			}
		}
		if len(worse) == 0 {
			continue
		}
		slices.Sort(worse)
		n := len(worse)
		fmt.Printf("| %v %% | %d | %+.1f %% (%+.1f to %+.1f) |", p, n, 100*((worse[(n-1)/2]+worse[n/2])/2-1), 100*(worse[0]-1), 100*(worse[n-1]-1))
		for _, v := range counts {
			fmt.Printf(" %d / %d / %d / %d |", v[gate.Regression], v[gate.Inconclusive], v[gate.Same], v[gate.Better])
		}
		fmt.Println()
	}
	fmt.Println("\nNumbers are regression / inconclusive / same / better; a verdict is one of a workload in one trial, of processor time.")
	return nil
}

// costs measures what an operation of each workload costs.
func (o *options) costs(ctx context.Context, base, tmp string, files []string) (reads, writes float64, err error) {
	f, err := program.Run(ctx, base, filepath.Join(tmp, "costs.json"), append([]string{"--rounds=5", "--dir=" + tmp}, files...)...)
	if err != nil {
		return 0, 0, err
	}
	cpu, err := result.MetricOf("cpu")
	if err != nil {
		return 0, 0, err
	}
	return cpu.Spread(f.Find("reads/stator")).Median, cpu.Spread(f.Find("writes/stator")).Median, nil
}
