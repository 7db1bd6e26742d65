package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/suite"
	"github.com/statordb/stator/sim"
)

type benchRunCommand struct {
	suite.Flags

	Source string `type:"existingdir" default:"." help:"For peers: where the source of stator is."`
	Tags   string `help:"For peers: build tags rocksdb, lmdb."`
}

func (c *benchRunCommand) Run(ctx context.Context) error {
	engines := []bench.Opener{bench.Stator()}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c.Tools = suite.Tools{Self: []string{self, "bench", "run"}, Program: self, Simulate: simulate}
	peers := c.Peers(engines)
	if len(peers) == 0 {
		return c.Flags.Run(ctx, os.Stdout, os.Stderr, engines)
	}
	for _, p := range peers {
		if !slices.Contains([]string{"pebble", "badger", "goleveldb", "bbolt", "rocksdb", "lmdb"}, p) {
			return &suite.UsageError{Err: noTarget(p)}
		}
	}
	err = withPeers(ctx, c.Source, c.Tags, peersArgs(os.Args))
	var exit *exec.ExitError
	if errors.As(err, &exit) { // it has said why
		return &exitError{code: exit.ExitCode(), err: errors.New("the measurement failed")}
	}
	return err
}

// noTarget says which targets there are.
func noTarget(name string) error {
	if _, port, err := net.SplitHostPort(name); err == nil && port != "" {
		return fmt.Errorf("no target %q: a server is named by its URL, http://%s", name, name)
	}
	return fmt.Errorf("no target %q: want stator, database, database-memory, cluster-1 to cluster-9, simulator, a URL, or a peer", name)
}

// simulate runs the world of a seed, as "stator sim run" does.
func simulate(seed uint64, w drive.World) (time.Duration, error) {
	r := sim.Run(seed, sim.Options{Nodes: w.Nodes, Zones: w.Zones, Duration: time.Duration(w.Duration), Calm: w.Calm, Faults: w.Faults})
	return r.Virtual, r.Err
}

// peersArgs are the arguments of "stator bench run" but for those that only it has.
func peersArgs(args []string) []string {
	var rest []string
	for i := slices.Index(args, "run"); i < len(args); i++ {
		switch a := args[i]; {
		case a == "--source" || a == "--tags":
			i++
		case len(a) > 9 && a[:9] == "--source=", len(a) > 7 && a[:7] == "--tags=":
		default:
			rest = append(rest, a)
		}
	}
	return rest
}

// An exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) ExitCode() int { return e.code }

type benchListCommand struct {
	Name string `arg:"" optional:"" help:"Print the file of this workload, to begin one's own with."`
}

func (c *benchListCommand) Run() error {
	if c.Name != "" {
		text, err := suite.Text(c.Name)
		if err != nil {
			return &suite.UsageError{Err: fmt.Errorf("no workload %q", c.Name)}
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, name := range suite.Names() {
		found, err := suite.Find([]string{name})
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\n", name, found[0].About)
	}
	return t.Flush()
}

type benchReportCommand struct {
	Results []string `arg:"" type:"existingfile" help:"Results (JSON); figures of several are put together."`
	Format  string   `default:"text" help:"What to make: text, markdown, html, gobench, hlog, hgrm (of the first figure), tsv, custom, bmf."`
	Output  string   `short:"o" type:"path" help:"File to write; default the terminal."`
}

func (c *benchReportCommand) Run() (err error) {
	if !slices.Contains(suite.Formats(), c.Format) {
		return &suite.UsageError{Err: fmt.Errorf("no format %q; there are %v", c.Format, suite.Formats())}
	}
	f, err := readResults(c.Results)
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if c.Output != "" {
		file, err := os.Create(c.Output)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		return suite.Report(file, f, c.Format)
	}
	return suite.Report(out, f, c.Format)
}

func readResults(names []string) (*result.File, error) {
	var all *result.File
	for _, name := range names {
		f, err := result.Read(name)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = f
			continue
		}
		all.Join(f)
	}
	return all, nil
}

type benchSchemaCommand struct{}

func (benchSchemaCommand) Run() error {
	_, err := os.Stdout.Write(result.Schema)
	return err
}
