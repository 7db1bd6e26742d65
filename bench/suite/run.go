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
	var failed []error
	for _, w := range c.Workloads {
		if err := c.runOne(ctx, f, w, dir); err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	c.Progress.clear()
	return f, errors.Join(append(failed, ctx.Err())...)
}

// runOne runs all rounds of a workload. The targets take turns, in the other direction in every other
// round, so that what a target leaves to the next one falls on all.
func (c *Config) runOne(ctx context.Context, f *result.File, w *drive.Workload, dir string) error {
	open := map[string]*opened{}
	bad := map[string]error{}
	var errs []error
	for round := range c.Rounds {
		order := slices.Clone(c.Targets)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, name := range order {
			if bad[name] != nil || ctx.Err() != nil {
				continue
			}
			s, err := c.sample(ctx, w, name, round, dir, open)
			if err != nil {
				bad[name] = err
				errs = append(errs, fmt.Errorf("%s on %s: %w", w.Name, name, err))
				continue
			}
			f.Add(w, name, s)
			c.Progress.sample(w, name, round, s)
		}
	}
	for _, name := range c.Targets {
		if o := open[name]; o != nil {
			if err := o.close(); err != nil {
				errs = append(errs, fmt.Errorf("close %s: %w", name, err))
			}
		}
		if bad[name] != nil && ctx.Err() == nil { // no figure of one that fails
			g := f.Find(w.Name + "/" + name)
			if g == nil {
				g = &result.Figure{Workload: w, Target: name}
				f.Figures = append(f.Figures, g)
			}
			g.Samples, g.Failed = nil, bad[name].Error()
		}
	}
	return errors.Join(errs...)
}

// sample runs one round. Without writes the data of the first round serves all.
func (c *Config) sample(ctx context.Context, w *drive.Workload, name string, round int, dir string, open map[string]*opened) (*result.Sample, error) {
	o := open[name]
	if o == nil {
		c.Progress.phase(w, name, "load")
		var err error
		if o, err = c.open(ctx, w, name, filepath.Join(dir, fmt.Sprintf("%s-%d-%x", w.Name, round, name))); err != nil {
			return nil, err
		}
		open[name] = o
	}
	m, err := drive.Run(ctx, w, o.target, drive.Options{Seed: c.Seed + uint64(round), Slow: c.Slow, Trace: c.Events[w.Keys.Trace], Progress: c.Progress.of(w, name)})
	if err == nil && m.Ops > 0 && m.Errors == m.Ops {
		err = fmt.Errorf("every operation failed: %w", m.First)
	}
	if w.Writes() || len(w.Faults) > 0 || err != nil {
		delete(open, name)
		err = errors.Join(err, o.close())
	}
	if err != nil {
		return nil, err
	}
	return result.New(round, w, m, rawBytes(w))
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

func (c *Config) open(ctx context.Context, w *drive.Workload, name, dir string) (*opened, error) {
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
