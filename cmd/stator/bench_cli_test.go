package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/statordb/stator/bench/result"
)

// The commands that measure, report and judge, and the codes that they end with.
func TestBenchCommands(t *testing.T) {
	dir := t.TempDir()
	quick := " --scale 200 --rounds 1 --no-probe"
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"bench run readrandom --json r.json --html r.html" + quick, 0, "readrandom"},
		{"bench run readrandom --json slow.json --slow 300" + quick, 0, "readrandom"},
		{"bench run ddb-transact --target database-memory" + quick, 0, "ddb-transact"},
		{"bench run failover-kill --target cluster-3 --scale 20 --rounds 1 --no-probe --json failover.json", 0, "start at 1 s"},
		{"bench run repl-put --target cluster-1 --scale 20 --rounds 1 --no-probe", 0, "repl-put"},
		{"bench run readrandom ddb-put --target stator,database-memory --scale 200 --rounds 2 --no-probe --json turns.json", 0, "ddb-put"},
		{"bench run failover-kill" + quick, 1, "no nodes that could be killed"},
		{"bench run sim-3-calm --target simulator --scale 12 --rounds 1 --no-probe", 0, "simulated seconds per CPU second"},
		{"bench run nosuch", 2, "bench list"},
		{"bench run repl-put --target cluster-0", 2, "no target"},
		{"bench run readrandom --target nosuch", 2, "no target"},
		{"bench run readrandom --target 127.0.0.1:8000", 2, "http://127.0.0.1:8000"},
		{"bench run --nosuch", 2, "unknown flag"},
		{"bench list ycsb-b", 0, `"get": 95`},
		{"bench report r.json --format gobench", 0, "BenchmarkReadrandom/target=stator"},
		{"bench report r.json --format nosuch", 2, "no format"},
		{"bench compare r.json slow.json", 4, "are needed"}, // one round says nothing
		{"bench compare r.json r.html", 1, "r.html: not a result"},
		{"bench compare r.json r.json --threshold p98=1%", 2, "no metric"},
		{"bench gate readrandom --base no-such-ref", 2, "no-such-ref"},
		{"bench gate readrandom --base HEAD --source .", 2, "not in a git repository"},
		{"bench gate readrandom --head-program r.json", 2, "head needs a base"},
		{"bench gate readrandom --rounds 2 --scale 400 --together", 4, "are needed"}, // this program against itself
		{"bench gate readrandom --rounds 2 --up-to 4 --scale 400 --together", 4, "round 4 of 4"},
		{"bench gate readrandom --rounds 8 --up-to 4", 2, "less than --rounds"},
		{"bench history .", 1, "version"}, // schema.json is no result
	} {
		if c.args == "bench history ." {
			os.WriteFile(filepath.Join(dir, "schema.json"), result.Schema, 0o644)
		}
		if strings.Contains(c.args, "no-such-ref") {
			c.args += " --source " + testSourceAt
		}
		if code, out := run(t, dir, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("stator %s\nexit code %d, want %d and %q:\n%s", c.args, code, c.code, c.want, out)
		}
	}
	checkTurns(t, filepath.Join(dir, "turns.json"))
	f, err := result.Read(filepath.Join(dir, "failover.json"))
	if err != nil {
		t.Fatal(err)
	}
	// The zone that is killed leads a third; who finds its connection gone asks the next node.
	if s := f.Figures[0].Samples[0]; len(s.Faults) != 2 || s.Faults[0].Do != "kill" || s.Faults[0].Node != s.Faults[1].Node || len(s.Phases) < 3 || s.CPUPerOp <= 0 || s.ResidentBytes <= 0 || s.Errors > 0 {
		t.Errorf("%+v", s)
	}
	_, out := run(t, dir, "bench", "schema")
	if !json.Valid([]byte(out)) {
		t.Error("the schema is not JSON")
	}
}

// checkTurns checks that the first rounds of all came before the second ones, each with data of its own.
func checkTurns(t *testing.T, name string) {
	f, err := result.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	last := [2]time.Time{}
	first := [2]time.Time{time.Now(), time.Now()}
	for _, g := range f.Figures {
		if len(g.Samples) != 2 {
			t.Fatalf("%s has %d samples", g.Name(), len(g.Samples))
		}
		for i, s := range g.Samples {
			if s.Round != i || s.Ops == 0 {
				t.Errorf("%s: sample %d is of round %d, with %d operations", g.Name(), i, s.Round, s.Ops)
			}
			if s.Machine == nil && runtime.GOOS == "linux" {
				t.Errorf("%s: nothing is known of the machine", g.Name())
			}
			if s.At.After(last[i]) {
				last[i] = s.At
			}
			if s.At.Before(first[i]) {
				first[i] = s.At
			}
		}
	}
	if len(f.Figures) != 4 || !last[0].Before(first[1]) || f.Figures[0].Name() != "readrandom/stator" || f.Figures[3].Name() != "ddb-put/database-memory" {
		t.Errorf("%d figures; the first round ended at %v, the second one began before %v", len(f.Figures), last[0], first[1])
	}
}

// A recorded server's operations are replayed.
func TestServeRecord(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "trace.bin")
	s := startServer(t, "--memory", "--shared", "--record", name, "--record-hashed")
	createTable(t, s.client, "versions")
	var w writer
	for v := int64(1); v <= 5; v++ {
		if err := w.write(t.Context(), s.client, 0, v); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd.Process.Signal(os.Interrupt)
	if err := s.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	code, out := run(t, dir, strings.Fields("bench run --trace trace.bin --speed 0 --rounds 1 --no-probe --json r.json")...)
	r, err := result.Read(filepath.Join(dir, "r.json"))
	if code != 0 || err != nil || r.Figures[0].Samples[0].Ops != 5 {
		t.Errorf("exit code %d, %v:\n%s", code, err, out)
	}
	if code, out := run(t, dir, "serve", "--memory", "--addr", "127.0.0.1:0", "--record", "trace.bin"); code != 1 || !strings.Contains(out, "exists") {
		t.Errorf("a trace that is there: exit code %d:\n%s", code, out)
	}
}

var (
	codeBlock = regexp.MustCompile("(?s)```\n(.*?)```")
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	benchFlag = regexp.MustCompile(`-bench '?([^' ]+)'?`)
	testFlag  = regexp.MustCompile(`-run '?([^' ]+)'?`)
)

// Every command in the pages about figures can be run: those of stator are parsed, those of "bench run" are run
// in short form, those of go test name functions that exist, those of go run flags that the program has.
func TestDocumentedCommands(t *testing.T) {
	if _, err := binary(); err != nil { // before the directory changes
		t.Fatal(err)
	}
	seen := 0
	for _, page := range []string{"BENCHMARKS.md", "docs/bench.md"} {
		text, err := os.ReadFile(filepath.Join(testSourceAt, page))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, m := range codeBlock.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, strings.Split(m[1], "\n")...)
		}
		for _, m := range codeSpan.FindAllStringSubmatch(codeBlock.ReplaceAllString(string(text), ""), -1) {
			lines = append(lines, m[1])
		}
		for _, l := range lines {
			command, _, _ := strings.Cut(l, " #")
			if command = strings.TrimSpace(command); strings.ContainsAny(command, "…") {
				continue
			}
			switch {
			case strings.HasPrefix(command, "stator bench ") && strings.Contains(command, " "):
				seen++
				checkStator(t, page, command)
			case strings.HasPrefix(command, "go test "):
				seen++
				checkGoTest(t, page, command)
			case strings.HasPrefix(command, "go run ./bench/"):
				seen++
				checkGoRun(t, page, command)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found", seen)
	}
}

// words splits as a shell does, as far as these pages go.
func words(command string) []string {
	var all []string
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

func checkStator(t *testing.T, page, command string) {
	args := words(command)[1:]
	dir := t.TempDir()
	t.Chdir(dir)
	os.Mkdir("results", 0o755)
	for _, name := range []string{"r.json", "base.json", "head.json", "trace.bin"} { // that the commands read
		os.WriteFile(name, []byte("{}"), 0o644)
	}
	os.WriteFile("my.json", []byte(`{"name":"my","operations":{"get":1}}`), 0o644)
	parser, err := kong.New(&commands{}, kong.Exit(func(int) { t.Errorf("%s: %s ends", page, command) }))
	if err != nil {
		t.Fatal(err)
	}
	if len(args) == 2 && args[1] != "run" && args[1] != "list" && args[1] != "schema" && args[1] != "engine" {
		return // the name of a command, not a call
	}
	for i, a := range args {
		if a == "F" { // stands for any format
			args[i] = "text"
		}
	}
	if _, err := parser.Parse(args); err != nil {
		t.Errorf("%s: %s: %v", page, command, err)
		return
	}
	// Clusters, with their seconds of starts and elections, are run by TestBenchCommands.
	runsHere := len(args) > 1 && args[1] == "run" && !strings.Contains(command, "cluster-") && !strings.Contains(command, "http") && !strings.Contains(command, "pebble") && !strings.Contains(command, "--trace")
	if !runsHere || testing.Short() {
		return
	}
	if code, out := run(t, dir, append(args, "--scale", "500", "--rounds", "1", "--no-probe")...); code != 0 {
		t.Errorf("%s: %s: exit code %d\n%s", page, command, code, out)
	}
}

func checkGoTest(t *testing.T, page, command string) {
	for _, f := range []struct {
		flag   *regexp.Regexp
		prefix string
	}{{benchFlag, "func Benchmark"}, {testFlag, "func Test"}} {
		m := f.flag.FindStringSubmatch(command)
		if m == nil || m[1] == "^$" || m[1] == "." {
			continue
		}
		name := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(f.prefix) + `\w*(` + strings.Trim(m[1], "^$") + `)`)
		found := false
		for _, dir := range regexp.MustCompile(`\./([\w/]+)`).FindAllStringSubmatch(command, -1) {
			files, _ := filepath.Glob(filepath.Join(testSourceAt, dir[1], "*_test.go"))
			for _, file := range files {
				text, err := os.ReadFile(file)
				found = found || err == nil && name.Match(text)
			}
		}
		if !found {
			t.Errorf("%s: %s: nothing there matches %s", page, command, m[1])
		}
	}
}

func checkGoRun(t *testing.T, page, command string) {
	args := words(command)
	main, err := os.ReadFile(filepath.Join(testSourceAt, args[2], "main.go"))
	if err != nil {
		t.Errorf("%s: %s: %v", page, command, err)
		return
	}
	for _, a := range args[3:] {
		if name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); strings.HasPrefix(a, "-") && !strings.Contains(string(main), `"`+name+`"`) {
			t.Errorf("%s: %s: no flag %s", page, command, a)
		}
	}
}

// testSourceAt is the root of the source, wherever a test has changed to.
var testSourceAt = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		return "../.."
	}
	return dir
}()
