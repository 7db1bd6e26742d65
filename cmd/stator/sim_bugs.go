//go:build plantedbugs

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/sim"
)

type simBugsCommand struct {
	Names     []string      `arg:"" optional:"" help:"Bugs to plant; default: all. --list names them."`
	List      bool          `help:"List the bugs, and what each does."`
	Campaigns int           `default:"5" help:"Searches for each bug, each from other seeds."`
	Budget    time.Duration `default:"60s" help:"CPU time after which a search is given up."`
	Jobs      int           `default:"1" help:"Searches at the same time, each in a process of its own."`
	Json      bool          `help:"Print JSON instead of a table."`
	Gate      string        `type:"existingfile" help:"Fail if a bug takes more than three times its norm in this file."`
	Record    string        `type:"path" help:"Write the norms of the bugs that were found to this file; those of others stay."`
	One       int           `default:"-1" hidden:"" help:"Run only the search of this number, for one bug, and print it as JSON."`
}

// errMissed ends the command with a status that says so.
var errMissed = errors.New("some planted bugs were not found")

func (c *simBugsCommand) Run(ctx context.Context) error {
	entries, err := c.entries()
	switch {
	case err != nil:
		return err
	case c.List:
		return listBugs(entries)
	case c.One >= 0:
		defer spaceSimCollections()()
		return json.NewEncoder(os.Stdout).Encode(sim.Search(entries[0].Bug, c.One, c.Budget))
	}
	scores, err := c.scores(ctx, entries)
	if err != nil {
		return err
	}
	if c.Json {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		err = out.Encode(scores)
	}
	if err == nil && c.Record != "" {
		err = c.record(scores)
	}
	if err == nil && c.Gate != "" {
		return c.gate(scores)
	}
	for _, s := range scores {
		if s.Found < len(s.Campaigns) && err == nil {
			err = errMissed
		}
	}
	return err
}

func readNorms(path string) (sim.Norms, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return sim.ReadNorms(b)
}

func (c *simBugsCommand) record(scores []sim.Score) error {
	norms, err := readNorms(c.Record)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(c.Record, norms.With(scores).Encode(), 0o644)
}

func (c *simBugsCommand) gate(scores []sim.Score) error {
	norms, err := readNorms(c.Gate)
	if err != nil {
		return err
	}
	if complaints := norms.Gate(scores); len(complaints) > 0 {
		return fmt.Errorf("planted bugs: %s", strings.Join(complaints, "; "))
	}
	return nil
}

func (c *simBugsCommand) entries() (entries []plant.Entry, err error) {
	if len(c.Names) == 0 {
		return plant.Registry, nil
	}
	for _, name := range c.Names {
		e, err := plant.Find(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func listBugs(entries []plant.Entry) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, e.Room, e.What)
	}
	return w.Flush()
}

// scores runs all campaigns and prints a line for each bug that is done.
func (c *simBugsCommand) scores(ctx context.Context, entries []plant.Entry) ([]sim.Score, error) {
	if !c.Json {
		fmt.Printf("%-30s %-12s %6s  %-15s  %-17s  %s\n", "planted bug", "room", "found", "seeds: med (max)", "CPU s: med (max)", "by")
	}
	scores := make([]sim.Score, len(entries))
	slots := make(chan struct{}, max(1, c.Jobs))
	var failed error
	for i, e := range entries {
		campaigns := make([]sim.Campaign, c.Campaigns)
		errs := make([]error, c.Campaigns)
		var all sync.WaitGroup
		for k := range campaigns {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				campaigns[k], errs[k] = c.search(ctx, e, k)
			})
		}
		all.Wait()
		if failed = errors.Join(errs...); failed != nil {
			return nil, failed
		}
		scores[i] = sim.NewScore(e, campaigns)
		if !c.Json {
			printScore(&scores[i])
		}
		if found := firstFound(campaigns); !c.Json && len(c.Names) > 0 && found != nil {
			fmt.Printf("  replay: %s sim replay %d --plant %s\n", os.Args[0], found.Seed, e.Name)
		}
	}
	return scores, nil
}

// firstFound returns the first campaign with a seed that shows the bug, or nil: where the process died, nobody knows the seed.
func firstFound(campaigns []sim.Campaign) *sim.Campaign {
	for i, c := range campaigns {
		if c.Found && c.Seed != 0 {
			return &campaigns[i]
		}
	}
	return nil
}

func printScore(s *sim.Score) {
	fmt.Printf("%-30s %-12s %3d/%-2d  %6d (%d)%*s  %7.2f (%.2f)%*s  %s\n", s.Name, s.Room, s.Found, len(s.Campaigns),
		s.Median.Seeds, s.Worst.Seeds, 6-len(fmt.Sprint(s.Worst.Seeds)), "",
		s.Median.CPU.Seconds(), s.Worst.CPU.Seconds(), 6-len(fmt.Sprintf("%.2f", s.Worst.CPU.Seconds())), "", strings.Join(s.By, ", "))
}

// search runs one campaign in a process of its own: a bug may hang or kill it.
func (c *simBugsCommand) search(ctx context.Context, e plant.Entry, number int) (result sim.Campaign, err error) {
	self, err := os.Executable()
	if err != nil {
		return result, err
	}
	limited, cancel := context.WithTimeout(ctx, 10*c.Budget+time.Minute)
	defer cancel()
	command := exec.CommandContext(limited, self, "sim", "bugs", e.Name, "--one", fmt.Sprint(number), "--budget", c.Budget.String())
	command.Env = append(os.Environ(), "GOMAXPROCS=1")
	var diagnosis bytes.Buffer
	command.Stderr = &diagnosis
	out, err := command.Output()
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if err == nil {
		return result, json.Unmarshal(out, &result)
	}
	// The process has died of the bug, or did not end.
	result = sim.Campaign{Found: true, By: sim.Crash, Reason: fmt.Sprintf("%v: %.2000s", err, &diagnosis)}
	if state := command.ProcessState; state != nil {
		result.CPU = state.UserTime() + state.SystemTime()
	}
	return result, nil
}
