package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/gate"
	"github.com/statordb/stator/bench/result"
	"github.com/statordb/stator/bench/suite"
)

type benchGateCommand struct {
	Workloads []string `arg:"" optional:"" help:"Workloads, as of run; default the set gate."`

	Base        string `placeholder:"REF" help:"The commit to judge by. Default: this program itself, to see what --slow does."`
	Head        string `placeholder:"REF" help:"The commit to judge. Default: the tree as it is."`
	BaseProgram string `name:"base-program" type:"existingfile" placeholder:"FILE" help:"Instead of --base: a program that is built already, such as one of another compiler or an earlier job."`
	HeadProgram string `name:"head-program" type:"existingfile" placeholder:"FILE" help:"Instead of --head: the same. Default: this program."`

	Slow     float64 `placeholder:"PERCENT" help:"Make head slower by this, to see whether the gate notices."`
	Rounds   int     `default:"12" help:"Pairs of runs. With several metrics and workloads fewer than ten are seldom enough for a verdict."`
	UpTo     int     `name:"up-to" placeholder:"ROUNDS" help:"Go on while there is no regression and something is inconclusive, twice as long each time, up to so many rounds. The confidence is that of all looks together. Default: one look, after --rounds."`
	Together bool    `help:"Let both sides of a pair take turns of 20 ms instead of running one behind the other. What else goes on on the machine then falls on both, and the ratio of their CPU times is much steadier. Times mean nothing then, so only cpu is judged unless --threshold says more. Unix only."`
	Target   string  `default:"stator" help:"One target, as of run; not a peer."`
	Scale    int     `default:"4" help:"Divide keys, counts and times by this."`
	Source   string  `type:"existingdir" default:"." help:"Where the source of stator is."`
	Dir      string  `type:"path" help:"Scratch directory; default the system's."`
	Keep     string  `type:"path" placeholder:"DIR" help:"Keep both results (base.json, head.json) in this directory."`

	verdictFlags
}

func (c *benchGateCommand) Run(ctx context.Context) (err error) {
	o, err := c.options()
	if err != nil {
		return err
	}
	if c.Rounds < 1 || c.Scale < 1 || c.Slow < 0 || strings.Contains(c.Target, ",") {
		return &suite.UsageError{Err: errors.New("--rounds and --scale begin at 1, --slow at 0, and --target is one")}
	}
	if c.UpTo != 0 && c.UpTo < c.Rounds {
		return &suite.UsageError{Err: fmt.Errorf("--up-to %d is less than --rounds %d", c.UpTo, c.Rounds)}
	}
	if c.Together && len(c.Threshold) == 0 {
		o.Thresholds = gate.Thresholds{"cpu": gate.Defaults()["cpu"]}
	}
	if len(c.Workloads) == 0 {
		c.Workloads = []string{"gate"}
	}
	if _, err := suite.Find(c.Workloads); err != nil {
		return &suite.UsageError{Err: err}
	}
	tmp, err := os.MkdirTemp(c.Dir, "stator-gate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	basePath, headPath, err := c.programs(ctx, tmp)
	if err != nil {
		return err
	}
	turns := fmt.Sprintf("%016x", rand.Uint64())
	base, head := &side{name: "base", program: basePath}, &side{name: "head", program: headPath, slow: c.Slow}
	looks := gate.Looks(c.Rounds, c.UpTo)
	o.Confidence = gate.OfEach(o.Confidence, len(looks))
	for round, look := 0, 0; look < len(looks); look++ {
		for ; round < looks[look]; round++ {
			order := []*side{base, head}
			if round%2 == 1 {
				order[0], order[1] = head, base
			}
			if err := c.pair(ctx, order, round, tmp); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, looks[look])
		}
		base.file.Turns, head.file.Turns = turns, turns
		report, err := gate.Compare(base.file, head.file, o)
		if err != nil {
			return err
		}
		if !report.Undecided() {
			break
		}
	}
	if c.Keep != "" {
		err := errors.Join(os.MkdirAll(c.Keep, 0o755), base.file.Write(filepath.Join(c.Keep, "base.json")), head.file.Write(filepath.Join(c.Keep, "head.json")))
		if err != nil {
			return err
		}
	}
	return c.judge(os.Stdout, base.file, head.file, o)
}

// A side is one of the two builds.
type side struct {
	name, program string
	slow          float64
	file          *result.File
}

// pair runs both sides once.
func (c *benchGateCommand) pair(ctx context.Context, order []*side, round int, tmp string) error {
	if !c.Together {
		for _, s := range order {
			if err := c.round(ctx, s, round, tmp); err != nil {
				return err
			}
		}
		return nil
	}
	return c.slices(ctx, order, round, tmp)
}

// slice is how long one side runs while the other one is stopped: longer than what a change of processes leaves in caches, shorter than
// what else goes on on a machine.
const slice = 20 * time.Millisecond

// slices runs both sides at once, of which only one is not stopped.
func (c *benchGateCommand) slices(ctx context.Context, order []*side, round int, tmp string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var runs []*sideRun
	var ended []chan error
	for _, s := range order {
		r := c.command(ctx, s, round, tmp)
		// In a group of its own: when the shell behind us goes, a group with a stopped process in it would be hung up.
		r.cmd.SysProcAttr = ownGroup()
		if err := r.cmd.Start(); err != nil {
			cancel()
			for _, end := range ended {
				<-end
			}
			return err
		}
		end := make(chan error, 1)
		go func() { end <- r.cmd.Wait() }()
		runs, ended = append(runs, r), append(ended, end)
	}
	_ = bench.Pause(runs[1].cmd) // it fails only if the process has ended, which is seen below
	turn := time.NewTicker(slice)
	defer turn.Stop()
	var failed error
	for at, left := 0, len(runs); left > 0; {
		var i int
		var err error
		select {
		case err = <-ended[0]:
			i = 0
		case err = <-ended[1]:
			i = 1
		case <-turn.C:
			if left == len(runs) {
				_ = bench.Pause(runs[at].cmd)
				at = 1 - at
				_ = bench.Resume(runs[at].cmd)
			}
			continue
		}
		if left--; err != nil && failed == nil {
			failed = c.failed(order[i], round, err, runs[i])
			cancel()
		}
		_ = bench.Resume(runs[1-i].cmd) // the other one goes on alone
	}
	if failed != nil {
		return failed
	}
	return errors.Join(runs[0].take(round), runs[1].take(round))
}

func (c *benchGateCommand) failed(s *side, round int, err error, r *sideRun) error {
	return fmt.Errorf("%s, round %d: %v\n%s", s.name, round+1, err, r.text.String()) // not %w: the status of a side is not the gate's
}

// A sideRun is one run of a side.
type sideRun struct {
	side *side
	cmd  *exec.Cmd
	text bytes.Buffer // what it says
	out  string       // its result
}

// round runs all workloads once.
func (c *benchGateCommand) round(ctx context.Context, s *side, round int, tmp string) error {
	r := c.command(ctx, s, round, tmp)
	if err := r.cmd.Run(); err != nil {
		return c.failed(s, round, err, r)
	}
	return r.take(round)
}

// command prepares a run.
func (c *benchGateCommand) command(ctx context.Context, s *side, round int, tmp string) *sideRun {
	out := filepath.Join(tmp, s.name+".json")
	args := append([]string{"bench", "run"}, c.Workloads...)
	args = append(args, "--target="+c.Target, "--rounds=1", "--no-probe", fmt.Sprint("--scale=", c.Scale), fmt.Sprint("--seed=", round), "--json="+out, "--dir="+tmp)
	if s.slow > 0 {
		args = append(args, fmt.Sprint("--slow=", s.slow))
	}
	r := &sideRun{side: s, cmd: exec.CommandContext(ctx, s.program, args...), out: out}
	r.cmd.Stdout, r.cmd.Stderr = &r.text, &r.text
	return r
}

// take adds the result to that of the side.
func (r *sideRun) take(round int) error {
	s := r.side
	f, err := result.Read(r.out)
	if err != nil {
		return err
	}
	for _, g := range f.Figures {
		for _, sample := range g.Samples {
			sample.Round = round
		}
	}
	if s.file == nil {
		s.file = f
		return nil
	}
	s.file.Join(f)
	return nil
}

// programs builds both sides. Without refs both are this program.
func (c *benchGateCommand) programs(ctx context.Context, tmp string) (base, head string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	if c.Base != "" && c.BaseProgram != "" || c.Head != "" && c.HeadProgram != "" || (c.Head != "" || c.HeadProgram != "") && c.Base == "" && c.BaseProgram == "" {
		return "", "", &suite.UsageError{Err: errors.New("each side is a commit or a program, and head needs a base")}
	}
	switch {
	case c.BaseProgram != "":
		base, err = filepath.Abs(c.BaseProgram)
	case c.Base != "":
		base, err = c.build(ctx, c.Base, filepath.Join(tmp, "base"))
	default:
		return self, self, nil
	}
	switch {
	case err != nil:
	case c.HeadProgram != "":
		head, err = filepath.Abs(c.HeadProgram)
	case c.Head == "" && c.BaseProgram != "":
		head = self
	default:
		head, err = c.build(ctx, c.Head, filepath.Join(tmp, "head"))
	}
	return base, head, err
}

// build makes the program of a commit, or of the tree as it is for "". A commit is
// checked out into a worktree of its own, which is removed again: the tree stays as it is.
func (c *benchGateCommand) build(ctx context.Context, ref, program string) (string, error) {
	root, err := output(ctx, c.Source, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", &suite.UsageError{Err: fmt.Errorf("--source %s is not in a git repository: %w", c.Source, err)}
	}
	dir := root
	if ref != "" {
		commit, err := output(ctx, root, "git", "rev-parse", "--verify", ref+"^{commit}")
		if err != nil {
			return "", &suite.UsageError{Err: fmt.Errorf("there is no commit %s: %w", ref, err)}
		}
		dir = program + "-source"
		if _, err := output(ctx, root, "git", "worktree", "add", "--detach", dir, commit); err != nil {
			return "", err
		}
		defer output(context.WithoutCancel(ctx), root, "git", "worktree", "remove", "--force", dir)
	}
	fmt.Fprintf(os.Stderr, "build %s\n", filepath.Base(program))
	// Without the directory's name in it, what was built for one checkout serves the next one, and both sides are alike.
	_, err = output(ctx, dir, "go", "build", "-trimpath", "-o", program, "./cmd/stator")
	return program, err
}

// output runs a command and returns what it prints, without the end of the line.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var text, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String())) // not %w: its status is not ours
	}
	return strings.TrimSpace(text.String()), nil
}
