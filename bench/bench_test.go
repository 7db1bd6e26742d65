package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// The test binary is also the program of the workers that TestProcesses starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "--worker" {
		err := Run(context.Background(), os.Stdout, os.Stderr, nil, []Opener{Stator(), model("model", nil)}, Config{Worker: os.Args[2]})
		if err != nil {
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// sorted is a model engine: a map and a sorted list of its keys.
type sorted struct {
	mu     sync.Mutex
	m      map[string]string
	keys   []string // sorted; nil if not up to date
	spoils func(n int, k, v string) (string, bool)
	n      int
}

// model returns a model engine. Before its n-th write it asks spoils, unless that is
// nil, what to write instead, and whether to write at all.
func model(name string, spoils func(n int, k, v string) (string, bool)) Opener {
	dirs := map[string]*sorted{}
	return Opener{Name: name, Survives: "no", Open: func(dir string, _ Settings) (Engine, error) {
		if dirs[dir] == nil {
			dirs[dir] = &sorted{m: map[string]string{}, spoils: spoils}
		}
		return dirs[dir], nil
	}}
}

func (s *sorted) NewSession() (Session, error) { return &modelSession{sorted: s}, nil }
func (s *sorted) Settle() error                { return nil }
func (s *sorted) Close() error                 { return nil }

type modelSession struct {
	*sorted
	batch [][2]string
}

func (s *modelSession) Set(k, v []byte) { s.batch = append(s.batch, [2]string{string(k), string(v)}) }
func (s *modelSession) Close() error    { return nil }

func (s *modelSession) Commit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kv := range s.batch {
		k, v, ok := kv[0], kv[1], true
		if s.n++; s.spoils != nil {
			v, ok = s.spoils(s.n, k, v)
		}
		if _, has := s.m[k]; ok && !has {
			s.keys = nil
		}
		if ok {
			s.m[k] = v
		}
	}
	s.batch = s.batch[:0]
	return nil
}

func (s *modelSession) Get(k, dst []byte) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[string(k)]
	return append(dst, v...), ok, nil
}

func (s *modelSession) Scan(from []byte, reverse bool, n int, visit func(k, v []byte)) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		for k := range s.m {
			s.keys = append(s.keys, k)
		}
		slices.Sort(s.keys)
	}
	at := sort.SearchStrings(s.keys, string(from))
	part := slices.Clone(s.keys[at:])
	if reverse {
		if from == nil {
			at = len(s.keys)
		}
		part = slices.Clone(s.keys[:at])
		slices.Reverse(part)
	}
	part = part[:min(n, len(part))]
	for _, k := range part {
		visit([]byte(k), []byte(s.m[k]))
	}
	return len(part), nil
}

func inThisProcess(o Opener, c Config, dir string) (worker, error) {
	r := newRunner(c, o, dir)
	r.awaitIdle, r.syncDisk = func() {}, func() {}
	return inProcess{r}, nil
}

var small = Config{Entries: 600, Records: 150, RecordBytes: 200, Reads: 300, Commits: 8, Rounds: 1}

// Every workload gives a figure for every engine, with keys of every shape.
func TestAllWorkloads(t *testing.T) {
	for _, shape := range Shapes {
		c := small
		c.Dir, c.Shape, c.Run = t.TempDir(), shape, "^(fillseq|readmissing|readrandom|seek|ycsb-e)$"
		if shape == Counter {
			c.Run, c.Rounds = "^(fillseq|fillrandom-batch100-2writers|durable-16writers|read|seek|scan|overwrite|predicate|filtered|ycsb)", 2
		}
		report, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{Stator(), model("model", nil)}, c)
		if err != nil {
			t.Fatalf("%s: %v", shape, err)
		}
		var out bytes.Buffer
		if err := report.Print(&out); err != nil {
			t.Fatal(err)
		}
		selected, err := match(c.Run)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range selected {
			for _, engine := range []string{"stator", "model"} {
				f := report.find(w.Name, engine)
				if f == nil || len(f.Samples) != c.Rounds || f.Value.Median <= 0 || f.Ratio.Median <= 0 || !strings.Contains(out.String(), w.Name) {
					t.Errorf("%s: %s on %s: %+v", shape, w.Name, engine, f)
				}
			}
		}
		if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", shape, left, err)
		}
	}
}

// What an engine that lies would have to get past.
func TestLiarsGetNoFigure(t *testing.T) {
	lies := map[string]func(n int, k, v string) (string, bool){
		"loses a write":              func(n int, k, v string) (string, bool) { return v, n%97 != 0 },
		"flips a bit":                func(n int, k, v string) (string, bool) { return v[:20] + string(v[20]^1) + v[21:], true },
		"flips a bit in the copy":    func(n int, k, v string) (string, bool) { return v[:99] + string(v[99]^1), true },
		"cuts a value":               func(n int, k, v string) (string, bool) { return v[:len(v)-1], true },
		"stores another one's value": nil, // below: the value of the write before
	}
	before := ""
	lies["stores another one's value"] = func(n int, k, v string) (string, bool) {
		v, before = before, v
		return v, true
	}
	for name, lie := range lies {
		c := small
		c.Dir, c.Run = t.TempDir(), "^(fillrandom|readrandom|scan-forward|seek.10)$"
		report, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{model("liar", lie)}, c)
		if err == nil {
			t.Fatalf("an engine that %s went unnoticed", name)
		}
		for _, f := range report.Figures {
			if f.Failed == "" || len(f.Samples) > 0 || f.Value != (Spread{}) {
				t.Errorf("an engine that %s got a figure: %+v", name, f)
			}
		}
	}
}

// Lost updates are noticed while others write, too.
// forgetful finds all but the last entry.
type forgetful struct{ Engine }

type forgetfulSession struct{ Session }

func (e forgetful) NewSession() (Session, error) {
	s, err := e.Engine.NewSession()
	return forgetfulSession{s}, err
}

func (s forgetfulSession) Find(percent int, visit func(k, v []byte)) (int, error) {
	var last [2][]byte
	n, err := scanShare(s, percent, func(k, v []byte) {
		if last[0] != nil {
			visit(last[0], last[1])
		}
		last = [2][]byte{bytes.Clone(k), bytes.Clone(v)}
	})
	return n, err
}

func TestForgetfulFindersGetNoFigure(t *testing.T) {
	honest := model("model", nil)
	o := honest
	o.Open = func(dir string, s Settings) (Engine, error) {
		e, err := honest.Open(dir, s)
		return forgetful{e}, err
	}
	c := small
	c.Dir, c.Run = t.TempDir(), "^(predicate|filtered)-10%$"
	report, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{o}, c)
	if err == nil || report.failed("predicate-10%", "model") || !report.failed("filtered-10%", "model") {
		t.Errorf("%v; %+v", err, report.Figures)
	}
}

func TestLostUpdatesGetNoFigure(t *testing.T) {
	c := small
	loads := c.Records
	lie := func(n int, k, v string) (string, bool) { return v, n <= loads || n%2 == 0 }
	for _, run := range []string{"^ycsb-a$", "^ycsb-f$"} {
		c.Dir, c.Run, c.Reads = t.TempDir(), run, 10_000
		report, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{model("liar", lie)}, c)
		if err == nil || report.Figures[0].Failed == "" {
			t.Errorf("%s: lost updates went unnoticed", run)
		}
	}
	c.Run = "^overwrite$"
	loads = c.Entries
	report, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{model("liar", lie)}, c)
	if f := report.find("readrandom-unsettled", "liar"); err == nil || f.Failed == "" {
		t.Error("lost overwrites went unnoticed")
	}
}

func TestProcesses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := small
	c.Dir, c.Run, c.JSON = t.TempDir(), "^(readrandom|open|open-memory|writeamp)$", t.TempDir()+"/report.json"
	c.Profile = filepath.Join(t.TempDir(), "profiles")
	var out bytes.Buffer
	if err := Run(t.Context(), &out, io.Discard, []string{self}, []Opener{Stator()}, c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(c.Profile, "readrandom-stator-1.pprof")); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
	data, err := os.ReadFile(c.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"readrandom", "open", "open-memory", "writeamp"} {
		if f := report.find(name, "stator"); f == nil || f.Value.Median <= 0 {
			t.Errorf("%s: %+v\n%s", name, f, &out)
		}
	}
}

// A process that ends takes its own figures with it, but no others.
func TestCrashedProcess(t *testing.T) {
	c := small
	c.Dir, c.Run = t.TempDir(), "^readrandom$"
	start := func(o Opener, c Config, dir string) (worker, error) {
		if o.Name == "stator" {
			return inThisProcess(o, c, dir)
		}
		return startWorker(t.Context(), []string{"false"}, c, dir)
	}
	report, err := compare(t.Context(), io.Discard, start, []Opener{Stator(), model("model", nil)}, c)
	if err == nil {
		t.Error("no error")
	}
	if f := report.find("readrandom", "model"); f == nil || f.Failed == "" {
		t.Errorf("crashed: %+v", f)
	}
	if f := report.find("readrandom", "stator"); f == nil || f.Value.Median <= 0 {
		t.Errorf("the other: %+v", f)
	}
}

func TestRatios(t *testing.T) {
	r := newReport(small.withDefaults(), []Opener{Stator(), model("model", nil)})
	w := workload("readrandom")
	for _, values := range [][2]float64{{100, 300}, {1000, 2000}, {100, 800}} {
		r.add(w, "stator", Sample{Value: values[0], Ops: 10, CPU: 100})
		r.add(w, "model", Sample{Value: values[1], Ops: 10, CPU: 400})
	}
	f := r.find("readrandom", "model")
	if want := (Spread{3, 2, 8}); f.Ratio != want {
		t.Errorf("ratio %+v, want %+v: that of each round by itself", f.Ratio, want)
	}
	if want := (Spread{800, 300, 2000}); f.Value != want {
		t.Errorf("value %+v, want %+v", f.Value, want)
	}
	if want := (Spread{40, 40, 40}); f.CPUPerOp != want || f.CPURatio.Median != 4 {
		t.Errorf("CPU per operation %+v, ratio %+v", f.CPUPerOp, f.CPURatio)
	}
	r.fail("readrandom", "model", errors.New("lied"))
	if f = r.find("readrandom", "model"); f.Failed != "lied" || f.Ratio != (Spread{}) || len(f.Samples) != 0 {
		t.Errorf("after a failure: %+v", f)
	}
}

// Programs read this: names stay.
func TestReportFields(t *testing.T) {
	r := newReport(small.withDefaults(), []Opener{Stator()})
	r.add(workload("readrandom"), "stator", Sample{Value: 1, Ops: 1})
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	figure := all["figures"].([]any)[0].(map[string]any)
	for name, got := range map[string]map[string]any{
		"version time machine config engines figures": all,
		"go os arch cpus":              all["machine"].(map[string]any),
		"name unsynced_writes_survive": all["engines"].([]any)[0].(map[string]any),
		"workload engine unit samples value cpu_ns_per_op ratio cpu_ratio": figure,
		"value ops wall_ns cpu_ns p50_ns p99_ns p999_ns allocs_per_op":     figure["samples"].([]any)[0].(map[string]any),
		"median min max": figure["ratio"].(map[string]any),
		"entries value_bytes records reads rounds compression shape memory_bytes": all["config"].(map[string]any),
	} {
		for _, field := range strings.Fields(name) {
			if _, ok := got[field]; !ok {
				t.Errorf("no field %q in %v", field, got)
			}
		}
	}
}

func TestArgs(t *testing.T) {
	want := Config{
		Run: "read.*", Engines: []string{"stator", "pebble"}, Rounds: 2, Dir: "/tmp/a", JSON: "/tmp/b", Profile: "/tmp/c", Entries: 7, ValueBytes: 9,
		Records: 11, RecordBytes: 13, Reads: 17, Commits: 19, Limit: 3 * time.Second, MemoryBytes: 23, Shape: Random,
		Compression: Uncompressed, Worker: "w",
	}
	for i := range reflect.ValueOf(want).NumField() {
		if reflect.ValueOf(want).Field(i).IsZero() {
			t.Errorf("the test leaves out %s", reflect.TypeOf(want).Field(i).Name)
		}
	}
	var got Config
	if _, err := kong.Must(&got).Parse(want.Args()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v, %v", want.Args(), got, err)
	}
	if _, err := kong.Must(&got).Parse(nil); err != nil || !reflect.DeepEqual(got.withDefaults(), Config{}.withDefaults()) {
		t.Errorf("defaults: %+v instead of %+v, %v", got.withDefaults(), Config{}.withDefaults(), err)
	}
}

func TestRefusals(t *testing.T) {
	for want, c := range map[string]Config{
		"no workload matches": {Run: "nothing"},
		"error parsing":       {Run: "("},
		"no engine":           {Engines: []string{"paper"}},
		"nothing to measure":  {Entries: 1},
		"unknown shape":       {Shape: "square"},
		"need 8 bytes":        {ValueBytes: 3},
		"rounds are more":     {Rounds: 100},
	} {
		_, err := compare(t.Context(), io.Discard, inThisProcess, []Opener{Stator()}, c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

func TestWorkloadNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range names() {
		if seen[name] {
			t.Errorf("two workloads %s", name)
		}
		seen[name] = true
	}
}

func TestSpread(t *testing.T) {
	if got := spreadOf([]float64{4, 1, 2, 3}); got != (Spread{2.5, 1, 4}) {
		t.Errorf("%+v", got)
	}
	if got := spreadOf(nil); got != (Spread{}) || math.IsNaN(got.Median) {
		t.Errorf("%+v", got)
	}
}
