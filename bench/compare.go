package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Run is what a command does that measures the engines: it compares them, prints the
// table and writes the JSON file; or it is one of the workers. command is what
// starts the same program again, up to where its flags go. When ctx ends, so do the
// workers, and what was measured by then is reported.
func Run(ctx context.Context, out, progress io.Writer, command []string, openers []Opener, c Config) error {
	if c.Worker != "" {
		o, err := choose(openers, []string{c.Worker})
		if err != nil {
			return err
		}
		return serve(o[0], os.Stdin, os.Stdout)
	}
	start := func(o Opener, c Config, dir string) (worker, error) {
		return startWorker(ctx, append(slices.Clone(command), "--worker", o.Name), c, dir)
	}
	report, err := compare(ctx, progress, start, openers, c)
	if report == nil {
		return err
	}
	return errors.Join(err, report.Print(out), report.writeFile(c.JSON))
}

// choose returns the named openers, in that order; all without names.
func choose(openers []Opener, names []string) ([]Opener, error) {
	if len(names) == 0 {
		return openers, nil
	}
	var chosen []Opener
	for _, name := range names {
		i := slices.IndexFunc(openers, func(o Opener) bool { return o.Name == name })
		if i < 0 {
			var all []string
			for _, o := range openers {
				all = append(all, o.Name)
			}
			return nil, fmt.Errorf("no engine %q here; there are %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, openers[i])
	}
	return chosen, nil
}

type startFunc func(o Opener, c Config, dir string) (worker, error)

// compare runs the workloads. The report has what could be measured, even if there
// is an error.
func compare(ctx context.Context, progress io.Writer, start startFunc, openers []Opener, c Config) (*Report, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	todo, err := match(c.Run)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(openers, c.Engines)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.Dir, "stator-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// The workers are to end with this thread; see EndWithParent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	x := &comparison{config: c, start: start, progress: progress, report: newReport(c, chosen)}
	for _, o := range chosen {
		x.engines = append(x.engines, &contender{opener: o, dir: filepath.Join(dir, o.Name)})
	}
	x.run(ctx, todo)
	return x.report, errors.Join(append(x.failed, x.end(), ctx.Err())...)
}

type comparison struct {
	config   Config
	start    startFunc
	progress io.Writer
	engines  []*contender
	report   *Report
	failed   []error
}

// A contender is an engine in a comparison.
type contender struct {
	opener Opener
	dir    string
	worker worker // nil before its first workload
}

func (x *comparison) run(ctx context.Context, todo []*Workload) {
	for i := 0; i < len(todo) && ctx.Err() == nil; {
		group := todo[i : i+groupLen(todo[i:])]
		i += len(group)
		x.runGroup(ctx, group)
		data := group[0].Data
		if i == len(todo) || todo[i].Data != data {
			x.drop(data)
		}
	}
}

// groupLen is how many workloads the first group has.
func groupLen(todo []*Workload) int {
	n := 1
	for todo[0].Group != "" && n < len(todo) && todo[n].Group == todo[0].Group {
		n++
	}
	return n
}

func (x *comparison) runGroup(ctx context.Context, group []*Workload) {
	for round := range x.config.Rounds {
		for _, e := range x.engines {
			for _, w := range group {
				if ctx.Err() != nil {
					return
				}
				x.sample(e, w, round)
			}
		}
	}
}

// sample takes one sample, or notes why there is none.
func (x *comparison) sample(e *contender, w *Workload, round int) {
	if x.report.failed(w.Name, e.opener.Name) {
		return
	}
	s, err := x.ask(e, w, round)
	if err != nil {
		x.failed = append(x.failed, fmt.Errorf("%s on %s: %w", w.Name, e.opener.Name, err))
		x.report.fail(w.Name, e.opener.Name, err)
		return
	}
	x.report.add(w, e.opener.Name, s)
	fmt.Fprintf(x.progress, "%-30s %-10s round %d: %.4g %s %s\n", w.Name, e.opener.Name, round+1, s.Value, w.unit(), s.Note)
}

func (x *comparison) ask(e *contender, w *Workload, round int) (Sample, error) {
	if e.worker == nil {
		var err error
		if e.worker, err = x.start(e.opener, x.config, e.dir); err != nil {
			return Sample{}, err
		}
	}
	q := request{Op: opRun, Workload: w.Name, Round: round}
	if !w.Fresh {
		return e.worker.do(q)
	}
	if _, err := e.worker.do(request{Op: opPrepare, Data: w.Data}); err != nil {
		return Sample{}, err
	}
	fresh, err := x.start(e.opener, x.config, e.dir)
	if err != nil {
		return Sample{}, err
	}
	s, err := fresh.do(q)
	return s, errors.Join(err, fresh.end())
}

func (x *comparison) drop(at Data) {
	for _, e := range x.engines {
		if e.worker == nil || at == Empty {
			continue
		}
		if _, err := e.worker.do(request{Op: opDrop, Data: at}); err != nil {
			x.failed = append(x.failed, fmt.Errorf("drop %s of %s: %w", at, e.opener.Name, err))
		}
	}
}

func (x *comparison) end() error {
	var err error
	for _, e := range x.engines {
		if e.worker == nil {
			continue
		}
		if one := e.worker.end(); one != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", e.opener.Name, one))
		}
	}
	return err
}
