package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

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
	Together bool    `help:"Run both sides of a pair at the same time instead of one behind the other. What else goes on on the machine then falls on both, so the ratio of their CPU times is much steadier; each takes longer than alone. Needs two processors."`
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
	if c.Together && runtime.NumCPU() < 2 {
		return &suite.UsageError{Err: errors.New("--together needs two processors")}
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
	for round := range c.Rounds {
		order := []*side{base, head}
		if round%2 == 1 {
			order[0], order[1] = head, base
		}
		if err := c.pair(ctx, order, round, tmp); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, c.Rounds)
	}
	base.file.Turns, head.file.Turns = turns, turns
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
	var both sync.WaitGroup
	errs := make([]error, len(order))
	for i, s := range order {
		both.Go(func() { errs[i] = c.round(ctx, s, round, tmp) })
	}
	both.Wait()
	return errors.Join(errs...)
}

// round runs all workloads once.
func (c *benchGateCommand) round(ctx context.Context, s *side, round int, tmp string) error {
	out := filepath.Join(tmp, s.name+".json")
	args := append([]string{"bench", "run"}, c.Workloads...)
	args = append(args, "--target="+c.Target, "--rounds=1", "--no-probe", fmt.Sprint("--scale=", c.Scale), fmt.Sprint("--seed=", round), "--json="+out, "--dir="+tmp)
	if s.slow > 0 {
		args = append(args, fmt.Sprint("--slow=", s.slow))
	}
	cmd := exec.CommandContext(ctx, s.program, args...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s, round %d: %w\n%s", s.name, round+1, err, text)
	}
	f, err := result.Read(out)
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
		return "", err
	}
	dir := root
	if ref != "" {
		commit, err := output(ctx, root, "git", "rev-parse", "--verify", ref+"^{commit}")
		if err != nil {
			return "", &suite.UsageError{Err: err}
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
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(text.String()), nil
}
