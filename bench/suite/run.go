package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/target"
)

// The targets that are not engines. Everything that begins with http:// or https:// is an endpoint.
const (
	Database       = "database"        // in this process, in files
	DatabaseMemory = "database-memory" // in this process, without files
	Cluster        = "cluster-"        // and a number: so many processes of their own on this machine; "@1ms" behind it: so far apart
	Simulator      = "simulator"       // in this process
)

// clusterOf is the cluster that a target's name asks for; ok is false if it asks for none. Examples: "cluster-3", "cluster-3@1ms".
func clusterOf(name string) (s target.ClusterShape, ok bool) {
	rest, ok := strings.CutPrefix(name, Cluster)
	if !ok {
		return s, false
	}
	number, delay, apart := strings.Cut(rest, "@")
	var err error
	if apart {
		if s.ZoneDelay, err = time.ParseDuration(delay); err != nil {
			return s, false
		}
	}
	s.Nodes, err = strconv.Atoi(number)
	return s, err == nil && s.Check() == nil
}

// A Config is a measurement: each workload on each target, in rounds.
type Config struct {
	Workloads []*drive.Workload
	Targets   []string
	Engines   []bench.Opener // those that targets may name
	Rounds    int
	First     int    // number of the first round
	Dir       string // scratch directory; "" is the system's
	Settings  bench.Settings
	Elsewhere target.Elsewhere // of endpoints
	Program   string           // that starts nodes of clusters by "serve"; "": there are none
	Simulate  target.Simulate  // nil: there is no simulator
	Seed      uint64
	Slow      float64 // see drive.Options
	Probe     bool    // what the machine can do at best
	Events    map[string][]drive.Event
	Progress  *Progress

	// Self is this program with the words of the command run, and Args flags for all of its runs. With them, and several rounds, each round of a target that
	// lives in a process of the harness has a process of its own. What differs from one process to another (where memory lies, seeds of
	// hashes, how files lie) then differs from round to round, too, and does not pass for a property of the code.
	Self, Args []string
}

// known reports whether the target can be opened.
func (c *Config) known(name string) bool {
	if _, ok := clusterOf(name); ok {
		return c.Program != ""
	}
	if name == Simulator {
		return c.Simulate != nil
	}
	return name == Database || name == DatabaseMemory || isURL(name) || c.engine(name) >= 0
}

func isURL(name string) bool {
	return strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://")
}

func (c *Config) engine(name string) int {
	return slices.IndexFunc(c.Engines, func(o bench.Opener) bool { return o.Name == name })
}

// opened is a target that is open.
type opened struct {
	target drive.Target
	close  func() error
}

// Run measures. The file has what was measured by the time of an error, or when ctx ended.
func Run(ctx context.Context, c Config) (*result.File, error) {
	dir, err := os.MkdirTemp(c.Dir, "stator-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f := &result.File{Version: result.Version, Time: time.Now().UTC().Truncate(time.Second), Commit: result.Commit(), Environment: result.Look(dir)}
	if c.Probe {
		if f.Environment.Limits, err = result.Probe(dir); err != nil {
			return nil, fmt.Errorf("probe the machine: %w", err)
		}
	}
	m := &measuring{Config: &c, file: f, dir: dir, open: map[string]*opened{}, bad: map[string]error{}}
	err = m.rounds(ctx)
	c.Progress.clear()
	return f, errors.Join(err, m.end(ctx), ctx.Err())
}

// A measuring is a run of all workloads, targets and rounds.
type measuring struct {
	*Config
	file  *result.File
	dir   string // scratch
	watch result.Watch

	// By workload and target:
	open map[string]*opened // endpoints whose data serves the next round, too
	bad  map[string]error   // what failed, and is not tried again
}

// rounds takes the workloads in turns, not one after the other: so the rounds of each lie as far apart in time as they can, and what
// the machine is like for some seconds is not taken for what the workload is like. The targets of a workload take turns, in the other direction in
// every other round, so that what a target leaves to the next one falls on all.
func (m *measuring) rounds(ctx context.Context) error {
	var errs []error
	for round := range m.Rounds {
		order := slices.Clone(m.Targets)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, w := range m.Workloads {
			for _, name := range order {
				figure := w.Name + "/" + name
				if m.bad[figure] != nil || ctx.Err() != nil {
					continue
				}
				s, err := m.sample(ctx, w, name, m.First+round)
				if err != nil {
					m.bad[figure] = err
					errs = append(errs, fmt.Errorf("%s on %s: %w", w.Name, name, err))
					continue
				}
				m.file.Add(w, name, s)
			}
		}
	}
	return errors.Join(errs...)
}

// end closes what is open, and brings figures into the order of the workloads. There is no figure of what failed.
func (m *measuring) end(ctx context.Context) error {
	var errs []error
	var figures []*result.Figure
	for _, w := range m.Workloads {
		for _, name := range m.Targets {
			figure := w.Name + "/" + name
			if o := m.open[figure]; o != nil {
				if err := o.close(); err != nil {
					errs = append(errs, fmt.Errorf("close %s: %w", figure, err))
				}
			}
			g := m.file.Find(figure)
			if err := m.bad[figure]; err != nil && ctx.Err() == nil {
				g = &result.Figure{Workload: w, Target: name, Failed: err.Error()}
			}
			if g != nil && !slices.ContainsFunc(figures, func(have *result.Figure) bool { return have.Name() == figure }) {
				figures = append(figures, g)
			}
		}
	}
	m.file.Figures = figures
	return errors.Join(errs...)
}

// sample runs one round, on data of its own, but for endpoints: making a table and filling it may be dear, so without writes the data of the first
// round serves all.
func (m *measuring) sample(ctx context.Context, w *drive.Workload, name string, round int) (*result.Sample, error) {
	m.watch.Begin()
	if m.ownProcess(name) {
		s, used, err := m.inProcess(ctx, w, name, round)
		if err == nil {
			s.Machine = m.watch.End(used)
		}
		return s, err
	}
	figure := w.Name + "/" + name
	o := m.open[figure]
	if o == nil {
		m.Progress.phase(w, name, "load")
		var err error
		if o, err = m.openTarget(ctx, w, name, filepath.Join(m.dir, fmt.Sprintf("%s-%d-%x", w.Name, round, name))); err != nil {
			return nil, err
		}
	}
	delete(m.open, figure)
	m.watch.Begin()
	before := m.used(o.target, name)
	measured, err := drive.Run(ctx, w, o.target, drive.Options{Seed: m.Seed + uint64(round), Slow: m.Slow, Trace: m.Events[w.Keys.Trace], Progress: m.Progress.of(w, name)})
	machine := m.watch.End(m.used(o.target, name) - before)
	if err == nil && measured.Ops > 0 && measured.Errors == measured.Ops {
		err = fmt.Errorf("every operation failed: %w", measured.First)
	}
	if err == nil && isURL(name) && !w.Writes() {
		m.open[figure] = o
	} else {
		err = errors.Join(err, o.close())
	}
	if err != nil {
		return nil, err
	}
	s, err := result.New(round, w, measured, rawBytes(w))
	if err == nil {
		s.Machine = machine
		m.Progress.sample(w, name, round, s)
	}
	return s, err
}

// used is the processor time of the harness and the target.
func (m *measuring) used(t drive.Target, name string) time.Duration {
	used := bench.CPUTime()
	if _, cluster := clusterOf(name); cluster || isURL(name) {
		if meter, ok := t.(drive.Meter); ok {
			used += meter.Usage().CPU
		}
	}
	return used
}

// rawBytes is what keys and values of all entries have.
func rawBytes(w *drive.Workload) float64 {
	size, n := w.Sizes(), min(w.Keys.Count, 10_000)
	sum := 0
	for i := range n {
		sum += bench.KeySize + size(uint64(i))
	}
	return float64(sum) / float64(n) * float64(w.Keys.Count)
}

func (c *Config) openTarget(ctx context.Context, w *drive.Workload, name, dir string) (*opened, error) {
	if i := c.engine(name); i >= 0 {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		e, err := target.OpenEngine(c.Engines[i], dir, w, c.Settings)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return &opened{e, func() error { return errors.Join(e.Close(), os.RemoveAll(dir)) }}, nil
	}
	if name == Simulator && c.Simulate != nil {
		s := target.OpenSimulator(c.Simulate, w)
		return &opened{s, s.Close}, nil
	}
	if shape, ok := clusterOf(name); ok && c.Program != "" {
		d, err := target.OpenCluster(ctx, c.Program, shape, dir, w)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return &opened{d, func() error { return errors.Join(d.Close(), os.RemoveAll(dir)) }}, nil
	}
	var d *target.Dynamo
	var err error
	switch {
	case isURL(name):
		d, err = target.OpenEndpoint(ctx, name, c.Elsewhere, w)
	case name == DatabaseMemory:
		d, err = target.OpenDatabase(ctx, "", w)
	case name == Database:
		d, err = target.OpenDatabase(ctx, dir, w)
	default:
		err = fmt.Errorf("no target %q", name)
	}
	if err != nil {
		return nil, err
	}
	return &opened{d, func() error { return errors.Join(d.Close(), os.RemoveAll(dir)) }}, nil
}
