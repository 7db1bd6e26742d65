package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A Brief is what is told of one run: a line of JSON.
type Brief struct {
	Seed    uint64              `json:"seed"`
	Hash    string              `json:"hash"`
	Nodes   int                 `json:"nodes"`
	By      Checker             `json:"by,omitempty"`    // which checker found something
	Error   string              `json:"error,omitempty"` // what it has to say
	Done    int                 `json:"done"`            // requests answered
	Unknown int                 `json:"unknown"`
	Crashes int                 `json:"crashes"`
	Steps   uint64              `json:"steps"`
	Virtual time.Duration       `json:"virtual_ns"`
	Drawn   map[string]int      `json:"drawn,omitempty"` // faults in the plan
	Idle    map[string]int      `json:"idle,omitempty"`  // those that came to nothing, with a reason
	Fired   map[string]int      `json:"fired,omitempty"` // what came to something, and how often
	Marks   map[env.Mark]uint64 `json:"marks,omitempty"`
}

// Brief sums up a result.
func (r *Result) Brief() Brief {
	b := Brief{
		Seed: r.Seed, Hash: fmt.Sprintf("%016x", r.Hash), Nodes: len(r.Plan.Nodes), By: CheckerOf(r.Err),
		Done: r.History.Count(Done), Unknown: r.History.Count(Unknown), Crashes: r.Crashes,
		Steps: r.Steps, Virtual: r.Virtual, Fired: r.Faults, Drawn: map[string]int{}, Idle: map[string]int{}, Marks: r.Marks,
	}
	if r.Err != nil {
		b.Error = r.Err.Error()
	}
	for _, f := range r.Plan.Nemesis {
		if f.Kind != calmKind {
			b.Drawn[f.Kind]++
		}
	}
	for _, x := range r.Fates {
		if !x.Fired {
			b.Idle[r.Plan.Nemesis[x.Fault].Kind]++
		}
	}
	return b
}

// A Tally sums up many runs.
type Tally struct {
	Seeds    int                 `json:"seeds"`
	Virtual  time.Duration       `json:"virtual_ns"`
	Steps    uint64              `json:"steps"`
	Done     int                 `json:"done"`
	Drawn    map[string]int      `json:"drawn"`
	Idle     map[string]int      `json:"idle"`
	Fired    map[string]int      `json:"fired"`
	Marks    map[env.Mark]uint64 `json:"marks"`
	Failures []Brief             `json:"failures"`
}

// Add adds a run.
func (t *Tally) Add(b *Brief) {
	if t.Drawn == nil {
		t.Drawn, t.Idle, t.Fired, t.Marks = map[string]int{}, map[string]int{}, map[string]int{}, map[env.Mark]uint64{}
	}
	t.Seeds++
	t.Virtual += b.Virtual
	t.Steps += b.Steps
	t.Done += b.Done
	for name, n := range b.Drawn { //sim:ok sums
		t.Drawn[name] += n
	}
	for name, n := range b.Idle { //sim:ok sums
		t.Idle[name] += n
	}
	for name, n := range b.Fired { //sim:ok sums
		t.Fired[name] += n
	}
	for name, n := range b.Marks { //sim:ok sums
		t.Marks[name] += n
	}
	if b.Error != "" {
		t.Failures = append(t.Failures, *b)
	}
}

// enough is how often a kind of fault must have been drawn before it counts that it has
// never fired.
const enough = 20

// Unfired returns the kinds of faults that were drawn often, or asked for by name in many
// runs, and never came to anything: such a campaign has not tested what it says.
func (t *Tally) Unfired(asked []string) (kinds []string) {
	for _, name := range asked {
		if t.Seeds >= enough && t.Fired[name] == 0 && t.Drawn[name] < enough {
			kinds = append(kinds, name)
		}
	}
	for name, n := range t.Drawn { //sim:ok sorted below
		if n >= enough && t.Fired[name] == 0 {
			kinds = append(kinds, name)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// Kinds returns how many of the kinds of faults that were drawn have fired.
func (t *Tally) Kinds() (fired, drawn int) {
	for name := range t.Drawn { //sim:ok counts
		drawn++
		if t.Fired[name] > 0 {
			fired++
		}
	}
	return fired, drawn
}

// Describe tells in a few lines what a plan does.
func (p *Plan) Describe() string {
	var b strings.Builder
	place := ""
	if n := len(p.regions()); n > 1 {
		place = fmt.Sprintf(" in %d regions", n)
	}
	fmt.Fprintf(&b, "seed %d, stack %s, %d nodes%s, %d clients, %d transactors, %d requests, %d faults, %s\n",
		p.Seed, p.Stack, len(p.Nodes), place, len(p.Clients), len(p.Transactors), p.AllRequests(), len(p.Nemesis), p.For)
	for i, f := range p.Nemesis {
		if i == 8 {
			fmt.Fprintf(&b, "  ... %d more\n", len(p.Nemesis)-i)
			break
		}
		text, err := json.Marshal(f)
		if err == nil {
			fmt.Fprintf(&b, "  %s\n", text)
		}
	}
	return b.String()
}
