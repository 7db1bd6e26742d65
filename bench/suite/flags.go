package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/target"
	"github.com/statordb/stator/bench/trace"
)

// Flags are the command "run", as kong parses it.
type Flags struct {
	Workloads []string `arg:"" optional:"" help:"Workloads: files, names or patterns (see list), or sets: quick (the default), gate, dbbench, ycsb, dynamodb, replication, transact, failover, simulator."`

	Target  []string `default:"stator" help:"What to measure, separated by commas: stator (the engine, in this process), database and database-memory (the whole database in this process), http://HOST:PORT or https://HOST (any DynamoDB endpoint; with + between them, nodes that the workers share), cluster-1, cluster-3 and so on (so many stator processes, started here; cluster-3@1ms: with that delay in each direction between their zones), simulator, or, built from bench/peers, pebble, badger, goleveldb, bbolt, rocksdb, lmdb."`
	Rounds  int      `default:"3" help:"How often each workload runs on each target, in turns. With several rounds each has a process and data of its own."`
	Scale   int      `default:"1" help:"Divide keys, counts and times by this, for a quick look."`
	Rate    float64  `help:"Operations per second instead of what the workload says; 0 leaves it."`
	Closed  bool     `help:"A closed loop instead of what the workload says."`
	Work    int      `name:"workers" help:"Workers instead of what the workload says."`
	Seed    uint64   `help:"Other draws of keys and operations."`
	Trace   string   `type:"existingfile" placeholder:"FILE" help:"Replay what stator serve --record has recorded, instead of workloads."`
	Speed   float64  `default:"1" help:"Of --trace: 2 is twice as fast as recorded, 0 as fast as can be."`
	Slow    float64  `placeholder:"PERCENT" help:"Make each operation slower by this, to see what a gate notices."`
	History string   `type:"path" placeholder:"DIR" help:"A folder of results of this machine. How far they lie apart says where another run lies, and this result is added to it. Also for bench history."`
	Label   string   `help:"What the result is called."`
	Errors  bool     `name:"allow-errors" help:"Operations may fail: they are counted, and the command still ends with 0. For runs in which a node is killed."`

	Dir         string            `type:"path" help:"Scratch directory; default the system's."`
	MemoryBytes int64             `name:"memory" default:"268435456" help:"Memory for an engine's caches in bytes; write buffers come on top."`
	Compression bench.Compression `enum:"none,fast" default:"fast" help:"Of engines: fast is Snappy or S2; or none."`
	Probe       bool              `default:"true" negatable:"" help:"Measure what the machine can do at best: fdatasync, memory, an empty HTTP handler (0.3 s)."`
	Region      string            `env:"AWS_REGION" help:"Region that requests to an endpoint are signed for; default us-east-1."`
	AccessKey   string            `env:"AWS_ACCESS_KEY_ID" help:"Access key for an endpoint; default one that any server without users accepts."`
	SecretKey   string            `env:"AWS_SECRET_ACCESS_KEY" help:"Its secret."`
	Token       string            `env:"AWS_SESSION_TOKEN" help:"Its session token, if any."`

	PIDs      []int  `name:"pid" placeholder:"PID" help:"Processes of this machine whose CPU, memory and writes are those of an endpoint. Default: the one that listens at its port, if that is on the loopback interface."`
	ServerDir string `name:"server-dir" type:"path" help:"Where an endpoint keeps its files, for how much they occupy."`

	Outputs `embed:""`

	// Of a run that measures one round for another one.
	First int  `name:"round" hidden:"" help:"The number of the first round."`
	Live  bool `hidden:"" help:"Progress goes to a terminal."`

	// Tools are what the caller has beside package suite.
	Tools Tools `kong:"-"`
}

// Tools are programs and functions that targets need and this package may not know.
type Tools struct {
	Self     []string        // this program and the words of the command run, which measures rounds in processes of their own; nil: in this one
	Program  string          // the program stator, which starts nodes; "": no clusters
	Simulate target.Simulate // runs a simulated world; nil: no simulator
}

// Peers returns the targets that are neither ours nor endpoints.
func (f *Flags) Peers(engines []bench.Opener) []string {
	c := Config{Engines: engines, Program: "stator", Simulate: func(uint64, drive.World) (time.Duration, error) { return 0, nil }}
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
		Targets: f.Target, Engines: engines, Rounds: f.Rounds, First: f.First, Dir: f.Dir, Seed: f.Seed, Slow: f.Slow / 100, Probe: f.Probe,
		Settings:  bench.Settings{MemoryBytes: f.MemoryBytes, Compression: f.Compression},
		Elsewhere: target.Elsewhere{Credentials: target.Credentials{Key: f.AccessKey, Secret: f.SecretKey, Token: f.Token, Region: f.Region}, PIDs: f.PIDs, Dir: f.ServerDir},
		Program:   f.Tools.Program, Simulate: f.Tools.Simulate, Self: f.Tools.Self,
		Args: []string{fmt.Sprint("--memory=", f.MemoryBytes), fmt.Sprint("--compression=", f.Compression), fmt.Sprint("--slow=", f.Slow), fmt.Sprint("--seed=", f.Seed)},
	}
	names := f.Workloads
	if len(names) == 0 {
		names = []string{"quick"}
	}
	found, err := Find(names)
	if f.Trace != "" && len(f.Workloads) > 0 {
		err = errors.New("--trace stands instead of workloads")
	} else if f.Trace != "" {
		var w *drive.Workload
		w, err = f.replay()
		found = []*drive.Workload{w}
	}
	if err != nil {
		return c, &UsageError{err}
	}
	if c.Events, err = readTraces(found); err != nil {
		return c, err
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
		if w.Keys.Choose != drive.FromTrace {
			w = w.Scaled(f.Scale)
		}
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

// replay is the workload of --trace.
func (f *Flags) replay() (*drive.Workload, error) {
	text, err := json.Marshal(map[string]any{
		"name": "replay", "about": "as recorded in " + filepath.Base(f.Trace), "workers": cmp.Or(f.Work, 16), "length": "24h",
		"keys": map[string]string{"choose": "trace", "trace": f.Trace}, "pace": map[string]float64{"speed": f.Speed},
	})
	if err != nil {
		return nil, err
	}
	return drive.Parse("--trace", text)
}

// readTraces reads the traces of workloads that replay one. Such a workload has as many keys as its
// trace.
func readTraces(workloads []*drive.Workload) (map[string][]drive.Event, error) {
	events := map[string][]drive.Event{}
	for _, w := range workloads {
		if w.Keys.Choose != drive.FromTrace {
			continue
		}
		t, err := trace.Open(w.Keys.Trace)
		if err != nil {
			return nil, err
		}
		if w.Keys.Count = max(2, t.Keys); w.Keys.Count > drive.MaxKeys {
			return nil, fmt.Errorf("%s: %d keys are too many", w.Keys.Trace, t.Keys)
		}
		if speed := w.Pace.Speed; speed > 0 { // it ends with its last operation
			w.Length = drive.Span(float64(t.Events[len(t.Events)-1].At)/speed) + drive.Span(time.Second)
		}
		events[w.Keys.Trace] = t.Events
	}
	return events, nil
}

// Run does what the command says: it measures, prints the table and writes the files.
func (f *Flags) Run(ctx context.Context, out, progress io.Writer, engines []bench.Opener) error {
	c, err := f.Config(engines)
	if err != nil {
		return err
	}
	c.Progress = &Progress{W: progress, Terminal: f.Live || isTerminal(progress)}
	r, err := Run(ctx, c)
	if r == nil {
		return err
	}
	r.Label, r.Command = f.Label, withoutSecrets(os.Args)
	earlier, readErr := f.earlier()
	r.Foresee(earlier)
	err = errors.Join(err, readErr, result.Text(out, r), f.Write(r), f.remember(r, err == nil))
	if !f.Errors {
		err = errors.Join(err, failures(r))
	}
	return err
}

// earlier are the results of the folder of --history, oldest first.
func (f *Flags) earlier() ([]*result.File, error) {
	if f.History == "" {
		return nil, nil
	}
	files, err := result.ReadFolder(f.History)
	if errors.Is(err, fs.ErrNotExist) { // this is the first one
		return nil, nil
	}
	return files, err
}

// remember adds a result in which nothing failed to that folder.
func (f *Flags) remember(r *result.File, whole bool) error {
	if f.History == "" || !whole {
		return nil
	}
	if err := os.MkdirAll(f.History, 0o755); err != nil {
		return err
	}
	name := time.Now().UTC().Format("20060102-150405.000") + ".json"
	return r.Write(filepath.Join(f.History, name))
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
