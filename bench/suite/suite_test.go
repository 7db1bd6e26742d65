package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator"
	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/target"
	"github.com/statordb/stator/bench/trace"
)

func flags(t *testing.T, target string, workloads ...string) *Flags {
	t.Helper()
	return &Flags{Workloads: workloads, Target: strings.Split(target, ","), Rounds: 1, Scale: 100, Dir: t.TempDir(), MemoryBytes: 8 << 20, Compression: bench.Fast}
}

var engines = []bench.Opener{bench.Stator()}

// Every file that comes with the program is read, is named as it is, and belongs to what sets name.
func TestWorkloads(t *testing.T) {
	for _, name := range Names() {
		found, err := Find([]string{name})
		if err != nil || len(found) != 1 || found[0].Name != name || found[0].About == "" {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	for set := range Sets {
		if found, err := Find([]string{set}); err != nil || len(found) < 3 {
			t.Errorf("set %s: %d workloads, %v", set, len(found), err)
		}
	}
	if _, err := Find([]string{"no-such"}); err == nil || !strings.Contains(err.Error(), "bench list") {
		t.Errorf("got %v", err)
	}
}

// All workloads run on what they are made for, in a hundredth of their size.
func TestEveryWorkloadRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, c := range []struct{ target, set string }{
		{"stator", "dbbench"}, {"stator", "ycsb"}, {"database", "ycsb"}, {"database-memory", "dynamodb"}, {"database", "replication"}, {"simulator", "simulator"},
	} {
		f := flags(t, c.target, c.set)
		f.Tools.Simulate = func(uint64, drive.World) (time.Duration, error) { return 20 * time.Second, nil }
		cfg, err := f.Config(engines)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range cfg.Workloads {
			w.Keys.Count = min(w.Keys.Count, 300)
			w.Keys.Group = min(w.Keys.Group, 10)
			w.Pace.Peak = nil
		}
		r, err := Run(t.Context(), cfg)
		for _, g := range r.Figures {
			if c.target == "simulator" && (len(g.Samples) == 0 || g.Samples[0].SimulatedSeconds != 20*float64(g.Samples[0].Ops)) {
				t.Errorf("%s: %+v", g.Name(), g.Samples)
			}
			if g.Failed != "" && g.Workload.Operations[drive.Transact] == 0 || len(g.Samples) == 0 && g.Failed == "" {
				t.Errorf("%s: %s", g.Name(), g.Failed)
			}
			for _, s := range g.Samples {
				if s.Errors > 0 {
					t.Errorf("%s: %d errors: %s", g.Name(), s.Errors, s.FirstError)
				}
			}
		}
		if err != nil && !errors.Is(err, drive.ErrUnsupported) {
			t.Error(err)
		}
	}
}

// The command measures two targets in turns and writes every output.
func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	f := flags(t, "stator,database-memory", filepath.Join(dir, "own.json"))
	f.Rounds, f.Scale, f.Label = 2, 1, "a label"
	text := `{"name":"own","keys":{"count":100},"operations":{"get":9,"put":1},"count":500,"warmup":"1ms","length":"20s"}`
	if err := os.WriteFile(f.Workloads[0], []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	f.Outputs = Outputs{JSON: in("r.json"), HTML: in("r.html"), Markdown: in("r.md"), GoBench: in("r.txt"), HLog: in("r.hlog"), HGRM: in("hgrm"), TSV: in("r.tsv"), Custom: in("c.json"), BMF: in("b.json")}
	var out, progress bytes.Buffer
	if err := f.Run(t.Context(), &out, &progress, engines); err != nil {
		t.Fatal(err)
	}
	r, err := result.Read(in("r.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Figures) != 2 || len(r.Figures[0].Samples) != 2 || r.Label != "a label" || r.Figures[0].Samples[0].Ops != 500 || r.Figures[0].Samples[0].CPUPerOp <= 0 || r.Figures[1].Samples[0].AllocsPerOp <= 0 {
		t.Errorf("%d figures, %+v", len(r.Figures), r.Figures[0])
	}
	for _, name := range []string{"r.html", "r.md", "r.txt", "r.hlog", "r.tsv", "c.json", "b.json", "hgrm/own-stator.hgrm"} {
		if info, err := os.Stat(in(name)); err != nil || info.Size() < 100 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(out.String(), "own") || strings.Count(progress.String(), "round") != 4 {
		t.Errorf("table:\n%s\nprogress:\n%s", out.String(), progress.String())
	}
	if !json.Valid(result.Schema) {
		t.Error("the schema is not JSON")
	}
}

// What was recorded on a live database is replayed on an engine and on a database.
func TestReplay(t *testing.T) {
	db, err := stator.Open("", stator.Memory())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := filepath.Join(t.TempDir(), "trace")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rec, err := trace.NewRecorder(db.Handler(), file, true)
	if err != nil {
		t.Fatal(err)
	}
	w, err := drive.Parse("x", []byte(`{"name":"live","keys":{"count":50},"operations":{"get":2,"put":1,"add":1},"count":200,"warmup":"1ns","length":"20s"}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := target.OpenHandler(t.Context(), &http.Client{Transport: transport{rec}}, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drive.Run(t.Context(), w, d, drive.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	f := flags(t, "stator,database-memory")
	f.Workloads, f.Trace, f.Speed = nil, name, 0
	c, err := f.Config(engines)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Figures {
		if s := g.Samples[0]; s.Ops < 202 || s.Errors > 0 || s.ByKind["put"].Count < 20 || s.ByKind["add"].Count < 20 || s.ByKind["putmany"].Count != 2 {
			t.Errorf("%s: %d operations, %+v", g.Name(), s.Ops, s.ByKind)
		}
	}
}

type transport struct{ h http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func TestUsage(t *testing.T) {
	for name, f := range map[string]*Flags{
		"target":   flags(t, "no-such", "readrandom"),
		"workload": flags(t, "stator", "no-such"),
		"rounds":   {Target: []string{"stator"}, Scale: 1},
	} {
		var usage *UsageError
		if _, err := f.Config(engines); !errors.As(err, &usage) || usage.ExitCode() != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := flags(t, "stator,pebble,http://x", "y").Peers(engines); len(got) != 1 || got[0] != "pebble" {
		t.Errorf("peers %v", got)
	}
	if got := withoutSecrets([]string{"run", "--secret-key", "s3", "--token=t0"}); strings.Contains(strings.Join(got, " "), "s3") || strings.Contains(strings.Join(got, " "), "t0") {
		t.Errorf("%v", got)
	}
}

// An endpoint that is not there ends the run with an error, and soon.
func TestNobodyThere(t *testing.T) {
	f := flags(t, "http://127.0.0.1:1", "ddb-get")
	begin := time.Now()
	if err := f.Run(t.Context(), &bytes.Buffer{}, &bytes.Buffer{}, engines); err == nil || time.Since(begin) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestClusterNames(t *testing.T) {
	for name, want := range map[string]target.ClusterShape{
		"cluster-1": {Nodes: 1}, "cluster-3": {Nodes: 3}, "cluster-9@1ms": {Nodes: 9, ZoneDelay: time.Millisecond}, "cluster-3@0s": {Nodes: 3},
		"cluster-0": {}, "cluster-10": {}, "cluster-3@": {}, "cluster-3@-1ms": {}, "cluster-3@2m": {}, "cluster-1@1ms": {}, "cluster-": {}, "clusters-3": {}, "cluster-3@1ms@1ms": {},
	} {
		got, ok := clusterOf(name)
		if ok != (want.Nodes > 0) || ok && got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
