package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/statordb/stator/sim"
)

// plan draws the plan of a seed, or reads a file.
func (w *simWorld) plan(what string) (*sim.Plan, error) {
	if seed, err := strconv.ParseUint(what, 10, 64); err == nil {
		o, err := w.options()
		if err != nil {
			return nil, err
		}
		return sim.NewPlan(seed, o), nil
	}
	if err := w.plant(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(what)
	if err != nil {
		return nil, &simError{2, fmt.Errorf("%s is neither a seed nor a plan: %w", what, err)}
	}
	p, err := sim.DecodePlan(b)
	if err != nil {
		return nil, &simError{2, fmt.Errorf("%s: %w", what, err)}
	}
	return p, nil
}

type simReplayCommand struct {
	simWorld
	What      string `arg:"" help:"A seed, or a file with a plan."`
	Plan      string `type:"path" help:"Write the plan to this file."`
	Trace     string `type:"path" help:"Write every step to this file."`
	Html      string `type:"path" help:"Write a page that shows the run to this file; with a violation, Porcupine's view of it is in it."`
	Json      string `type:"path" help:"Write the history as JSON lines to this file."`
	Edn       string `type:"path" help:"Write the history as Jepsen's EDN to this file."`
	Registers string `type:"path" help:"Write what transactions did with registers to this file, as Elle's rw-register reads it; EDN or JSON lines as with --lists."`
	Bank      string `type:"path" help:"Write transfers between accounts and reads of all of them to this file, as Jepsen's bank reads it; EDN or JSON lines as with --lists."`
	Lists     string `type:"path" help:"Write what transactions did with lists to this file, as Elle reads it: EDN if the name ends in .edn, else JSON lines."`
}

func (c *simReplayCommand) Run() error {
	p, err := c.plan(c.What)
	if err != nil {
		return err
	}
	if c.Plan != "" {
		if err := os.WriteFile(c.Plan, p.Encode(), 0o666); err != nil {
			return err
		}
	}
	var o sim.Options
	if c.Trace != "" {
		f, err := os.Create(c.Trace)
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		defer f.Close()
		defer w.Flush()
		o.Trace = w
	}
	o.Picture = c.Html != ""
	r := sim.RunPlan(p, o)
	if err := c.export(&r); err != nil {
		return err
	}
	fmt.Print(p.Describe())
	fmt.Println(r)
	if r.Err != nil {
		return &simError{1, r.Err}
	}
	idle := r.Idle()
	if idle != "" {
		fmt.Printf("these faults came to nothing:\n%s", idle)
	}
	if _, err := strconv.ParseUint(c.What, 10, 64); err != nil && idle != "" { // what somebody has written down is to happen
		return &simError{3, errors.New("a fault of the plan came to nothing")}
	}
	return nil
}

func (c *simReplayCommand) export(r *sim.Result) error {
	for _, file := range []struct {
		path          string
		asJSON, asEDN func(io.Writer) error
	}{
		{c.Json, r.History.WriteJSON, r.History.WriteJSON},
		{c.Edn, r.History.WriteEDN, r.History.WriteEDN},
		{c.Lists, r.Lists.WriteJSON, r.Lists.WriteEDN},
		{c.Registers, r.Registers().WriteJSON, r.Registers().WriteEDN},
		{c.Bank, r.Bank().WriteJSON, r.Bank().WriteEDN},
	} {
		write := file.asJSON
		if filepath.Ext(file.path) == ".edn" {
			write = file.asEDN
		}
		if file.path == "" {
			continue
		}
		if err := writeFile(file.path, write); err != nil {
			return err
		}
	}
	if c.Html == "" {
		return nil
	}
	return writeFile(c.Html, r.WriteHTML)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return errors.Join(write(w), w.Flush(), f.Close())
}

type simShrinkCommand struct {
	simWorld
	What string        `arg:"" help:"A seed, or a file with a plan."`
	Out  string        `type:"path" help:"Where to write the smaller plan; default plan-SEED.json."`
	For  time.Duration `default:"1m" help:"How long to try."`
	Runs int           `default:"2000" help:"How many plans to try."`
}

func (c *simShrinkCommand) Run(ctx context.Context) error {
	p, err := c.plan(c.What)
	if err != nil {
		return err
	}
	defer spaceSimCollections()()
	began := time.Now()
	s := sim.Shrinker{
		Runs:     c.Runs,
		Deadline: func() bool { return ctx.Err() != nil || time.Since(began) > c.For },
		Report: func(p *sim.Plan, runs int) {
			fmt.Fprintf(os.Stderr, "\r%d runs: %d faults, %d requests, %s    ", runs, len(p.Nemesis), p.AllRequests(), p.For)
		},
	}
	small, r, runs := s.Shrink(p)
	if r.Err == nil {
		return &simError{2, fmt.Errorf("%s does not fail: there is nothing to make smaller", c.What)}
	}
	fmt.Fprintln(os.Stderr)
	out := c.Out
	if out == "" {
		out = fmt.Sprintf("plan-%d.json", p.Seed)
	}
	if err := os.WriteFile(out, small.Encode(), 0o666); err != nil {
		return err
	}
	fmt.Printf("%d faults and %d requests are left of %d and %d after %d runs in %s:\n%s%s\nreplay: %s\n",
		len(small.Nemesis), small.AllRequests(), len(p.Nemesis), p.AllRequests(), runs, time.Since(began).Round(100*time.Millisecond),
		small.Describe(), r.Err, c.command(append([]string{"replay", out}, c.plantedBug.arguments()...)...))
	return nil
}

type simListCommand struct{}

func (simListCommand) Run() error {
	fmt.Println("faults:")
	for _, k := range sim.Kinds() {
		fmt.Printf("  %-25s %s\n", k.Name, k.What)
	}
	fmt.Println("loads:")
	for _, l := range sim.Loads() {
		fmt.Printf("  %-25s %s\n", l.Name, l.What)
	}
	return nil
}
