package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/statordb/stator/sim"
)

// simWorld are the options of what is drawn from a seed.
type simWorld struct {
	Nodes    int           `default:"0" help:"Nodes of each world; 0: one, three or five, as the seed has it, and three mostly."`
	Azs      int           `default:"0" help:"Zones that they are in; 0: three, if there are so many nodes."`
	Regions  int           `default:"0" help:"Regions that these zones are in; 0: one mostly, as the seed has it."`
	Duration time.Duration `default:"0" help:"Virtual time with faults; 0: 3s on one node, 20s on several."`
	Attempts int           `default:"0" help:"Worlds in which only one zone at a time dies and returns, and clients that make so many attempts, as SDKs do, and may not see an error; 0: others."`
	Backoff  string        `default:"standard" enum:"standard,2026,legacy" help:"How those clients pause between attempts: as SDKs do today, as they will, as they did."`
	Workload []string      `help:"Loads, by the names that 'sim list' tells; default: the seed decides."`
	Faults   []string      `help:"Kinds of faults to draw from, by the names that 'sim list' tells, or 'none'; default: all."`

	plantedBug
}

func (w *simWorld) options() (sim.Options, error) {
	o := sim.Options{Nodes: w.Nodes, Zones: w.Azs, Regions: w.Regions, Duration: w.Duration, Faults: w.Faults, Workload: w.Workload, Attempts: w.Attempts, Backoff: w.Backoff}
	if err := w.plant(); err != nil {
		return o, err
	}
	if w.Nodes < 0 || w.Azs < 0 || w.Regions < 0 || w.Duration < 0 || w.Attempts < 0 || w.Nodes > 0 && w.Azs > w.Nodes {
		return o, &simError{2, errors.New("--nodes, --azs, --regions, --duration and --attempts begin at 0, and no zone is without a node")}
	}
	if err := sim.CheckLoads(w.Workload); err != nil {
		return o, &simError{2, err}
	}
	if w.Attempts > 0 && o.Nodes == 0 {
		o.Nodes = 3
	}
	if len(w.Faults) == 1 && w.Faults[0] == "none" {
		o.Faults, o.Calm = nil, true
	}
	known := map[string]bool{}
	for _, k := range sim.Kinds() {
		known[k.Name] = true
	}
	for _, f := range o.Faults {
		if !known[f] {
			return o, &simError{2, fmt.Errorf("there is no fault %q; 'stator sim list' names them", f)}
		}
		if err := sim.Fits(f, o); err != nil {
			return o, &simError{2, err}
		}
	}
	return o, nil
}

// asked are the kinds of faults that were asked for by name.
func (w *simWorld) asked() []string {
	if len(w.Faults) == 1 && w.Faults[0] == "none" {
		return nil
	}
	return w.Faults
}

// arguments are those that make another process draw the same, as far as they are not the defaults.
func (w *simWorld) arguments() (a []string) {
	for _, n := range []struct {
		flag  string
		value int
	}{{"nodes", w.Nodes}, {"azs", w.Azs}, {"regions", w.Regions}, {"attempts", w.Attempts}} {
		if n.value != 0 {
			a = append(a, fmt.Sprintf("--%s=%d", n.flag, n.value))
		}
	}
	if w.Duration != 0 {
		a = append(a, fmt.Sprint("--duration=", w.Duration))
	}
	if w.Attempts > 0 && w.Backoff != "" {
		a = append(a, "--backoff="+w.Backoff)
	}
	for _, l := range w.Workload {
		a = append(a, "--workload="+l)
	}
	for _, f := range w.Faults {
		a = append(a, "--faults="+f)
	}
	return append(a, w.plantedBug.arguments()...)
}

// command returns a line for a shell that has this program do something with these worlds.
func (w *simWorld) command(what ...string) string {
	program := "stator"
	if len(w.plantedBug.arguments()) > 0 { // which only a program of its own knows
		program = os.Args[0]
	}
	words := append([]string{program, "sim"}, what...)
	for i, word := range words {
		if strings.ContainsAny(word, " '\"$") {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// A simError ends the program with a status:
//
//	1  a run has failed
//	2  what was asked for makes no sense
//	3  a kind of fault was drawn or asked for often and never came to anything, or a fault
//	   of a plan in a file did not
//	4  two runs of one seed were not the same
type simError struct {
	status int
	error
}

func (e *simError) ExitCode() int { return e.status }
func (e *simError) Unwrap() error { return e.error }

type simRunCommand struct {
	simWorld
	Seed   uint64        `help:"Run this seed alone."`
	First  uint64        `default:"1" help:"The first seed."`
	Seeds  int           `default:"100" help:"How many seeds to run."`
	For    time.Duration `help:"Run for so long instead."`
	Jobs   int           `default:"1" help:"Processes that share the work."`
	Again  int           `default:"0" help:"Run so many percent of the seeds a second time, in another process with other settings of the runtime, and compare."`
	Keep   bool          `help:"Go on after a failure."`
	Json   bool          `help:"Print the sums as JSON."`
	Junit  string        `type:"path" help:"Write a JUnit report to this file."`
	Worker bool          `hidden:"" help:"Print a line of JSON for each seed."`
	Step   uint64        `default:"1" hidden:"" help:"How far seeds are apart."`
}

func (c *simRunCommand) Run(ctx context.Context) error {
	if c.Seed != 0 {
		c.First, c.Seeds, c.For = c.Seed, 1, 0
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	if c.For < 0 || c.For == 0 && c.Seeds < 1 || c.Jobs < 1 || c.Again < 0 || c.Again > 100 {
		return &simError{2, errors.New("--seeds and --jobs begin at 1, --for is a time, --again goes from 0 to 100")}
	}
	defer spaceSimCollections()()
	if c.Worker {
		out := json.NewEncoder(os.Stdout)
		return c.run(ctx, o, func(b *sim.Brief) error { return out.Encode(b) })
	}
	p := &simProgress{began: time.Now()}
	take := func(b *sim.Brief) error { return c.take(ctx, p, b) }
	if c.Jobs > 1 {
		err = c.share(ctx, take)
	} else {
		err = c.run(ctx, o, take)
	}
	p.end()
	if c.Junit != "" {
		err = errors.Join(err, p.writeJUnit(c.Junit))
	}
	if err == nil || errors.Is(err, errSimStop) {
		err = c.verdict(p)
	}
	return err
}

var errSimStop = errors.New("enough seen")

// run runs seeds in this process.
func (c *simRunCommand) run(ctx context.Context, o sim.Options, take func(b *sim.Brief) error) error {
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		if c.For > 0 && time.Since(began) >= c.For || c.For == 0 && i >= c.Seeds {
			break
		}
		r := sim.Run(c.First+uint64(i)*c.Step, o)
		b := r.Brief()
		if err := take(&b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// share lets other processes run the seeds.
func (c *simRunCommand) share(ctx context.Context, take func(b *sim.Brief) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // of take
	var all sync.WaitGroup
	failed := make([]error, c.Jobs)
	for k := range c.Jobs {
		seeds := (c.Seeds + c.Jobs - 1 - k) / c.Jobs
		if c.For == 0 && seeds == 0 { // fewer seeds than processes
			break
		}
		args := append([]string{"sim", "run", "--worker", fmt.Sprint("--first=", c.First+uint64(k)), fmt.Sprint("--step=", c.Jobs),
			fmt.Sprint("--for=", c.For), fmt.Sprint("--seeds=", seeds)}, c.arguments()...)
		all.Go(func() {
			failed[k] = simWorker(ctx, args, nil, func(b *sim.Brief) error {
				mu.Lock()
				defer mu.Unlock()
				return take(b)
			})
			if failed[k] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	for _, err := range failed {
		if errors.Is(err, errSimStop) {
			return err
		}
	}
	return errors.Join(failed...)
}

// simWorker runs this program again and hands over what it says of each seed.
func simWorker(ctx context.Context, args, environment []string, take func(b *sim.Brief) error) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	command := exec.CommandContext(ctx, self, args...)
	command.Env = append(append(os.Environ(), "GOMAXPROCS=1"), environment...)
	var diagnosis strings.Builder
	command.Stderr = &diagnosis
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		return err
	}
	var stopped error
	lines := bufio.NewReader(out)
	for stopped == nil {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var b sim.Brief
		if err := json.Unmarshal(line, &b); err != nil {
			stopped = fmt.Errorf("worker: %w", err)
		} else {
			stopped = take(&b)
		}
	}
	cancelIf(stopped != nil, cancel)
	err = command.Wait()
	if stopped != nil {
		return stopped
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("worker %s: %w: %.2000s", strings.Join(args, " "), err, diagnosis.String())
	}
	return ctx.Err()
}

func cancelIf(yes bool, cancel func()) {
	if yes {
		cancel()
	}
}

// take notes a run, and compares it with a second one.
func (c *simRunCommand) take(ctx context.Context, p *simProgress, b *sim.Brief) error {
	p.add(b)
	if !c.Json {
		p.show(false)
	}
	if b.Error != "" {
		p.end()
		fmt.Fprint(os.Stderr, c.failure(b))
		if !c.Keep {
			return errSimStop
		}
	}
	if c.Again > 0 && int(b.Seed*2654435761%100) < c.Again {
		return c.again(ctx, p, b)
	}
	return nil
}

func (c *simRunCommand) again(ctx context.Context, p *simProgress, b *sim.Brief) error {
	args := append([]string{"sim", "run", "--worker", fmt.Sprint("--seed=", b.Seed)}, c.arguments()...)
	return simWorker(ctx, args, []string{fmt.Sprint("GOMAXPROCS=", 1+runtime.NumCPU()), "GOGC=20"}, func(second *sim.Brief) error {
		p.twice++
		if second.Hash != b.Hash || second.Steps != b.Steps {
			return &simError{4, fmt.Errorf("seed %d came to hash %s after %d steps and, in another process, to %s after %d",
				b.Seed, b.Hash, b.Steps, second.Hash, second.Steps)}
		}
		return nil
	})
}

// failure tells of a run that failed, in at most 20 lines.
func (c *simRunCommand) failure(b *sim.Brief) string {
	lines := strings.Split(strings.TrimSpace(b.Error), "\n")
	if len(lines) > 14 {
		lines = append(lines[:13], fmt.Sprintf("... %d more lines", len(lines)-13))
	}
	for i, l := range lines {
		if len(l) > 300 {
			lines[i] = l[:300] + " ..."
		}
	}
	world := append([]string{fmt.Sprint(b.Seed)}, c.arguments()...)
	return fmt.Sprintf("seed %d failed, found by %s, %d nodes, hash %s\n%s\nreplay: %s\nshrink: %s\n",
		b.Seed, b.By, b.Nodes, b.Hash, strings.Join(lines, "\n"), c.command(slices.Concat([]string{"replay"}, world)...), c.command(slices.Concat([]string{"shrink"}, world)...))
}

func (c *simRunCommand) verdict(p *simProgress) error {
	if c.Json {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(&p.Tally); err != nil {
			return err
		}
	}
	switch unfired := p.Unfired(c.asked()); {
	case len(p.Failures) > 0:
		return &simError{1, fmt.Errorf("%d of %d seeds failed", len(p.Failures), p.Seeds)}
	case len(unfired) > 0:
		return &simError{3, fmt.Errorf("these faults were drawn and never came to anything: %s", strings.Join(unfired, ", "))}
	}
	return nil
}

// simProgress is what a campaign has come to, and its line on the terminal.
type simProgress struct {
	sim.Tally
	began, shown time.Time
	twice        int
	drawn        bool // there is a line to be ended
}

func (p *simProgress) add(b *sim.Brief) { p.Add(b) }

func (p *simProgress) show(last bool) {
	if !last && time.Since(p.shown) < time.Second {
		return
	}
	p.shown, p.drawn = time.Now(), true
	wall := time.Since(p.began).Seconds()
	fired, drawn := p.Kinds()
	fmt.Fprintf(os.Stderr, "\r%d seeds · %.0f/min · %.0f sim-s/s · %d/%d faults fired · %d marks · %d run twice · %d failures ",
		p.Seeds, float64(p.Seeds)/wall*60, p.Virtual.Seconds()/wall, fired, drawn, len(p.Marks), p.twice, len(p.Failures))
}

func (p *simProgress) end() {
	if p.drawn {
		p.show(true)
		fmt.Fprintln(os.Stderr)
		p.drawn = false
	}
}

func (p *simProgress) writeJUnit(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeJUnit(f, &p.Tally, time.Since(p.began))
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     float64     `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes one case for all seeds that passed, and one for each that failed.
func writeJUnit(w io.Writer, t *sim.Tally, took time.Duration) error {
	s := junitSuite{Name: "stator sim", Tests: 1 + len(t.Failures), Failures: len(t.Failures), Time: took.Seconds()}
	s.Cases = append(s.Cases, junitCase{Name: fmt.Sprintf("%d seeds pass", t.Seeds-len(t.Failures)), Class: "sim"})
	for i := range t.Failures {
		b := &t.Failures[i]
		s.Cases = append(s.Cases, junitCase{Name: fmt.Sprint("seed ", b.Seed), Class: "sim", Failure: &junitFailure{Message: string(b.By), Text: b.Error}})
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	return e.Encode(&s)
}
