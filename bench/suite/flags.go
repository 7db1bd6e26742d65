package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/target"
)

// Flags are the command "run", as kong parses it.
type Flags struct {
	Workloads []string `arg:"" optional:"" help:"Workloads: files, names or patterns (see list), or sets: quick (the default), gate, dbbench, ycsb, dynamodb."`

	Target []string `default:"stator" help:"What to measure, separated by commas: stator (the engine, in this process), database and database-memory (the whole database in this process), http://HOST:PORT or https://HOST (any DynamoDB endpoint), or, built from bench/peers, pebble, badger, goleveldb, bbolt, rocksdb, lmdb."`
	Rounds int      `default:"3" help:"How often each workload runs on each target, in turns."`
	Scale  int      `default:"1" help:"Divide keys, counts and times by this, for a quick look."`
	Rate   float64  `help:"Operations per second instead of what the workload says; 0 leaves it."`
	Closed bool     `help:"A closed loop instead of what the workload says."`
	Work   int      `name:"workers" help:"Workers instead of what the workload says."`
	Seed   uint64   `help:"Other draws of keys and operations."`
	Slow   float64  `placeholder:"PERCENT" help:"Make each operation slower by this, to see what a gate notices."`
	Label  string   `help:"What the result is called."`
	Errors bool     `name:"allow-errors" help:"Operations may fail: they are counted, and the command still ends with 0. For runs in which a node is killed."`

	Dir         string            `type:"path" help:"Scratch directory; default the system's."`
	MemoryBytes int64             `name:"memory" default:"268435456" help:"Memory for an engine's caches in bytes; write buffers come on top."`
	Compression bench.Compression `enum:"none,fast" default:"fast" help:"Of engines: fast is Snappy or S2; or none."`
	Probe       bool              `default:"true" negatable:"" help:"Measure what the machine can do at best: fdatasync, memory, an empty HTTP handler (0.3 s)."`
	Region      string            `env:"AWS_REGION" help:"Region that requests to an endpoint are signed for; default us-east-1."`
	AccessKey   string            `env:"AWS_ACCESS_KEY_ID" help:"Access key for an endpoint; default one that any server without users accepts."`
	SecretKey   string            `env:"AWS_SECRET_ACCESS_KEY" help:"Its secret."`
	Token       string            `env:"AWS_SESSION_TOKEN" help:"Its session token, if any."`

	Outputs `embed:""`
}

// Peers returns the targets that are neither ours nor endpoints.
func (f *Flags) Peers(engines []bench.Opener) []string {
	c := Config{Engines: engines}
	var peers []string
	for _, t := range f.Target {
		if !c.known(t) {
			peers = append(peers, t)
		}
	}
	return peers
}

// A UsageError is a mistake in the command line: exit code 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// ExitCode is what a command ends with.
func (e *UsageError) ExitCode() int { return 2 }

// Config checks the flags.
func (f *Flags) Config(engines []bench.Opener) (Config, error) {
	c := Config{
		Targets: f.Target, Engines: engines, Rounds: f.Rounds, Dir: f.Dir, Seed: f.Seed, Slow: f.Slow / 100, Probe: f.Probe,
		Settings:    bench.Settings{MemoryBytes: f.MemoryBytes, Compression: f.Compression},
		Credentials: target.Credentials{Key: f.AccessKey, Secret: f.SecretKey, Token: f.Token, Region: f.Region},
	}
	names := f.Workloads
	if len(names) == 0 {
		names = []string{"quick"}
	}
	found, err := Find(names)
	if err != nil {
		return c, &UsageError{err}
	}
	if f.Rounds < 1 || f.Scale < 1 || f.Rate < 0 || f.Slow < 0 || f.Work < 0 || f.Closed && f.Rate > 0 {
		return c, &UsageError{errors.New("--rounds and --scale begin at 1, --rate, --slow and --workers at 0; --closed has no --rate")}
	}
	for _, t := range f.Target {
		if !c.known(t) {
			return c, &UsageError{fmt.Errorf("no target %q here", t)}
		}
	}
	for _, w := range found {
		w = w.Scaled(f.Scale)
		w.Workers = cmp.Or(f.Work, w.Workers)
		if f.Closed {
			w.Pace = drive.Pace{}
		}
		if f.Rate > 0 {
			w.Pace = drive.Pace{Rate: f.Rate, Arrivals: cmp.Or(w.Pace.Arrivals, drive.Poisson)}
		}
		c.Workloads = append(c.Workloads, w)
	}
	return c, nil
}

// Run does what the command says: it measures, prints the table and writes the files.
func (f *Flags) Run(ctx context.Context, out, progress io.Writer, engines []bench.Opener) error {
	c, err := f.Config(engines)
	if err != nil {
		return err
	}
	c.Progress = &Progress{W: progress, Terminal: isTerminal(progress)}
	r, err := Run(ctx, c)
	if r == nil {
		return err
	}
	r.Label, r.Command = f.Label, withoutSecrets(os.Args)
	err = errors.Join(err, result.Text(out, r), f.Write(r))
	if !f.Errors {
		err = errors.Join(err, failures(r))
	}
	return err
}

// withoutSecrets leaves out what no file should keep.
func withoutSecrets(args []string) []string {
	var clean []string
	hide := false
	for _, a := range args {
		name, _, given := strings.Cut(a, "=")
		secret := name == "--secret-key" || name == "--token" || name == "--access-key"
		switch {
		case hide:
			a = "…"
		case secret && given:
			a = name + "=…"
		}
		hide = secret && !given
		clean = append(clean, a)
	}
	return clean
}

// failures is an error if operations failed.
func failures(f *result.File) error {
	var errs []error
	for _, g := range f.Figures {
		n, first := int64(0), ""
		for _, s := range g.Samples {
			n += s.Errors
			first = cmp.Or(first, s.FirstError)
		}
		if n > 0 {
			errs = append(errs, fmt.Errorf("%s: %d operations failed (%s)", g.Name(), n, first))
		}
	}
	return errors.Join(errs...)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
