//go:build plantedbugs

package sim

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/statordb/stator/internal/plant"
)

// A Campaign is one search for a planted bug: seeds in order, until a run fails.
type Campaign struct {
	Found   bool          `json:"found"`
	Seeds   int           `json:"seeds"` // runs, with the one that failed
	CPU     time.Duration `json:"cpu_ns"`
	By      Checker       `json:"by,omitempty"`
	Seed    uint64        `json:"seed,omitempty"`    // the one that failed
	Reason  string        `json:"reason,omitempty"`  // what the checker said
	Reached int           `json:"reached,omitempty"` // runs that came to the bug's site, as far as there were
}

// campaignSeeds is how far the first seeds of campaigns lie apart.
const campaignSeeds = 1_000_000

// Search plants a bug and runs seeds of the campaign of that number until one run
// fails, or so much CPU time of the process is used up.
func Search(bug plant.Bug, number int, budget time.Duration) Campaign {
	defer plant.Set(plant.None)
	var c Campaign
	for began := cpuTime(); c.CPU < budget && !c.Found; {
		seed := uint64(1+number)*campaignSeeds + uint64(c.Seeds)
		plant.Set(bug)
		r := Run(seed, Options{})
		c.Seeds++
		if plant.Reached() > 0 {
			c.Reached++
		}
		if r.Err != nil {
			c.Found, c.By, c.Seed, c.Reason = true, CheckerOf(r.Err), seed, fmt.Sprintf("%.2000s", r.Err)
		}
		c.CPU = cpuTime() - began
	}
	return c
}

// cpuTime returns the CPU time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("sim: getrusage: %v", err)) // it has no other argument that could be wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A Score sums up the campaigns against one bug.
type Score struct {
	Name      string     `json:"name"`
	Room      string     `json:"room"`
	Found     int        `json:"found"` // campaigns
	By        []string   `json:"by"`    // the checkers, most frequent first, with their counts
	Median    Effort     `json:"median"`
	Worst     Effort     `json:"worst"`
	Campaigns []Campaign `json:"campaigns"`
}

// An Effort is what it took to find a bug, or to give up.
type Effort struct {
	Seeds int           `json:"seeds"`
	CPU   time.Duration `json:"cpu_ns"`
}

// NewScore sums up campaigns.
func NewScore(e plant.Entry, campaigns []Campaign) Score {
	s := Score{Name: e.Name, Room: e.Room, Campaigns: campaigns}
	count := map[Checker]int{}
	var seeds []int
	var cpu []time.Duration
	for _, c := range campaigns {
		seeds, cpu = append(seeds, c.Seeds), append(cpu, c.CPU)
		if c.Found {
			s.Found++
			count[c.By]++
		}
	}
	slices.Sort(seeds)
	slices.Sort(cpu)
	if n := len(campaigns); n > 0 {
		s.Median, s.Worst = Effort{seeds[n/2], cpu[n/2]}, Effort{seeds[n-1], cpu[n-1]}
	}
	var by []Checker
	for checker := range count {
		by = append(by, checker)
	}
	slices.SortFunc(by, func(a, b Checker) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	for _, checker := range by {
		s.By = append(s.By, fmt.Sprintf("%s %d", checker, count[checker]))
	}
	return s
}
