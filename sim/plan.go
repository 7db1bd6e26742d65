package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A Plan is everything that a run does, fixed before it starts: the world, the
// faults with their times and targets, what each client asks for and when. It is
// drawn from a seed by NewPlan, and can be printed, edited, run again and made
// smaller. A seed means something for one version of the generator only; a plan is
// what is kept.
//
// While it runs, a world draws only from streams that are keyed by the plan's seed
// and a name (of a link, a disk, a node), so that what is taken out of a plan
// leaves the luck of the rest as it was.
type Plan struct {
	Version int    `json:"version"`        // PlanVersion
	Seed    uint64 `json:"seed"`           // of all streams
	Note    string `json:"note,omitempty"` // for people: of a plan that is kept, what it once found

	Stack  Stack      `json:"stack"`
	Policy string     `json:"policy"` // of the choice among tasks: random, fifo, pct
	Nodes  []NodePlan `json:"nodes"`
	Links  Links      `json:"links"`
	Knobs  Knobs      `json:"knobs"`

	For     Duration     `json:"for"` // how long faults and clients are at work
	Nemesis []Fault      `json:"nemesis"`
	Clients []ClientPlan `json:"clients"`

	Transactors []TransactorPlan `json:"transactors,omitempty"` // clients of the ledger
	Churn       []Step           `json:"churn,omitempty"`       // of the task that creates and drops tables
	Expiry      []Step           `json:"expiry,omitempty"`      // of the task that works on items with a time to live
	Grammar     []Step           `json:"grammar,omitempty"`     // of the task that compares requests with the reference
	Engine      []Step           `json:"engine,omitempty"`      // of the task that works on a store of its own
	Rot         uint32           `json:"rot,omitempty"`         // dice: which bit is damaged in the end; 0: none
}

// PlanVersion is that of the plans that this program writes and reads. It changes
// with the meaning of a field.
const PlanVersion = 1

// A Stack names what runs on the nodes, and where clients enter it.
type Stack string

// The stacks.
const (
	// TableStack: from the table operation down to the disk.
	TableStack Stack = "table"
	// GuestStack: the same, for clients that are not the simulator's; see Cluster.
	GuestStack Stack = "guest"
)

// A NodePlan places a node. Its number, from 1, is its place in the list.
type NodePlan struct {
	Zone   string `json:"zone"`
	Region string `json:"region,omitempty"`
	Drift  int    `json:"drift,omitempty"` // of its clocks, as long as no fault makes them run otherwise: ppm too fast
}

// named returns the name of the zone or the region that the node is in.
func (n NodePlan) named(place string) string {
	if place == "region" {
		return n.Region
	}
	return n.Zone
}

// Links say how long a message is under way, one way, by where it goes: base plus
// a tail that is exponentially distributed.
type Links struct {
	Zone   Delay `json:"zone"`   // within a zone
	Region Delay `json:"region"` // between zones of a region
	World  Delay `json:"world"`  // between regions
	Client Delay `json:"client"` // between clients and nodes
}

// A Delay is a time under way.
type Delay struct {
	Base Duration `json:"base"`
	Tail Duration `json:"tail"` // mean of what is added
}

// A Fault is something that happens to the world at a time, or for a while.
type Fault struct {
	At     Duration `json:"at"`
	Kind   string   `json:"kind"`             // see Kinds
	Target string   `json:"target,omitempty"` // see run.resolve
	For    Duration `json:"for,omitempty"`
	Mode   string   `json:"mode,omitempty"` // of a power cut; see crashModes
	N      int      `json:"n,omitempty"`    // what the kind says
	By     Duration `json:"by,omitempty"`   // what the kind says
	// Then happens when the fault has come to something, of the kinds that say so. It has no time
	// and no follower.
	Then *Fault `json:"then,omitempty"`
}

// A ClientPlan is what one client asks for, one request after the other.
type ClientPlan struct {
	Node     int      `json:"node"`              // number of the node that it talks to
	Roams    bool     `json:"roams,omitempty"`   // it goes elsewhere when it gets no answer
	Patience Duration `json:"patience"`          // after which it gives a request up
	Retries  int      `json:"retries,omitempty"` // how often it then asks again, as an SDK does
	Backoff  string   `json:"backoff,omitempty"` // how it pauses before that; see backoffs
	Insists  bool     `json:"insists,omitempty"` // an error in the end is a finding
	Edge     bool     `json:"edge,omitempty"`    // it speaks JSON to the edge; else it calls the table's operations
	Ops      []Op     `json:"ops"`
}

// An Op is one request of a client. It is sent at its time, or when the one before
// has been answered or given up.
type Op struct {
	At    Duration `json:"at"`
	Do    string   `json:"do"` // get, put, add, delete, query, scan, batch, index
	Key   string   `json:"key,omitempty"`
	Value string   `json:"value,omitempty"` // of writes; unique in the plan
	Count int64    `json:"count,omitempty"` // of put and add; index byCount: of the items
	If    string   `json:"if,omitempty"`    // absent, present, known: the value last seen by the client

	Second string `json:"second,omitempty"` // batch: the other key
	Drop   bool   `json:"drop,omitempty"`   // batch: delete it

	Index string `json:"index,omitempty"` // index: which one; see indexes
	Stale bool   `json:"stale,omitempty"` // get, query, scan, local index: eventually consistent
	Bound int    `json:"bound,omitempty"` // query: the place of its sort key condition in sortBounds
	Lower int    `json:"lower,omitempty"`
	Upper int    `json:"upper,omitempty"`
	Limit int    `json:"limit,omitempty"` // query, scan: items of a page; 0: no limit
	// Least, of query and scan, has a filter show no items but those that have a count of so much;
	// so has If "known", but those of a value that the client knows.
	Least int64 `json:"least,omitempty"`
	// Segments, of a scan: it is a parallel one of so many, which are read one after the other.
	Segments int  `json:"segments,omitempty"`
	Reverse  bool `json:"reverse,omitempty"`
}

// A Step is one step of a task that decides what to do when it sees what is there:
// by the dice alone, so that steps can be taken out.
type Step struct {
	At   Duration `json:"at"`
	Dice uint32   `json:"dice"`
}

// A Duration is one that JSON shows as "1.5s".
type Duration time.Duration

// Std returns d as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Encode returns the plan as JSON, with one fault and one request a line.
func (p *Plan) Encode() []byte {
	compact, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("sim: encode plan: %v", err)) // it has no values that JSON lacks
	}
	var b bytes.Buffer
	depth, quoted := 0, false
	for i, c := range compact {
		b.WriteByte(c)
		switch {
		case quoted:
			if c == '"' && compact[i-1] != '\\' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
			if next := compact[i+1]; c == '[' && next == '{' || depth == 1 {
				b.WriteByte('\n')
			}
		case c == '}' || c == ']':
			depth--
			if next := compact[min(i+1, len(compact)-1)]; c == '}' && next == ']' {
				b.WriteByte('\n')
			}
		case c == ',' && (depth == 1 || compact[i-1] == '}' && compact[i+1] == '{'):
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// DecodePlan reads a plan and says what is wrong with it.
func DecodePlan(b []byte) (*Plan, error) {
	p := &Plan{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("sim: plan: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("sim: plan: something follows the plan")
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("sim: plan: %w", err)
	}
	return p, nil
}

const (
	maxNodes    = 99
	maxPlanTime = Duration(time.Hour)
)

// check reports the first thing in a plan that cannot be run.
func (p *Plan) check() error {
	switch {
	case p.Version != PlanVersion:
		return fmt.Errorf("it has version %d, this program runs version %d", p.Version, PlanVersion)
	case stacks[p.Stack] == nil:
		return fmt.Errorf("there is no stack %q", p.Stack)
	case p.Stack == GuestStack && p.Requests() > 0:
		return errors.New("guests bring their own clients")
	case len(p.Nodes) == 0 || len(p.Nodes) > maxNodes:
		return fmt.Errorf("%d nodes; there can be 1 to %d", len(p.Nodes), maxNodes)
	case p.For <= 0 || p.For > maxPlanTime:
		return fmt.Errorf("it is to run for %s; from 1ns to %s is possible", p.For, maxPlanTime)
	}
	if _, err := policyOf(p.Policy); err != nil {
		return err
	}
	for _, n := range p.Nodes {
		if n.Zone == "" {
			return errors.New("a node has no zone")
		}
		if n.Drift > promisedRate || n.Drift < -promisedRate {
			return fmt.Errorf("a node's clocks drift by %d ppm", n.Drift)
		}
	}
	if err := p.Knobs.check(); err != nil {
		return err
	}
	for i := range p.Nemesis {
		if err := p.Nemesis[i].check(p); err != nil {
			return fmt.Errorf("fault %d: %w", i, err)
		}
	}
	for i := range p.Clients {
		if err := p.Clients[i].check(p); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	for i := range p.Transactors {
		if err := p.Transactors[i].check(p); err != nil {
			return fmt.Errorf("transactor %d: %w", i, err)
		}
	}
	return nil
}

var policies = []string{env.Random: "random", env.FIFO: "fifo", env.PCT: "pct"}

func policyOf(name string) (env.Policy, error) {
	i := slices.Index(policies, name)
	if i < 0 {
		return 0, fmt.Errorf("there is no policy %q; there are %s", name, strings.Join(policies, ", "))
	}
	return env.Policy(i), nil
}

func (f *Fault) check(p *Plan) error {
	k := kindOf(f.Kind)
	switch {
	case k == nil:
		return fmt.Errorf("there is no kind %q", f.Kind)
	case f.At < 0 || f.At > maxPlanTime || f.For < 0 || f.For > maxPlanTime || f.By > maxPlanTime || f.By < -maxPlanTime:
		return fmt.Errorf("%s at %s for %s by %s is out of time", f.Kind, f.At, f.For, f.By)
	case len(p.Nodes) == 1 && k.nodes > 1:
		return fmt.Errorf("%s on one node", f.Kind)
	case f.N < 0:
		return fmt.Errorf("%s with n = %d", f.Kind, f.N)
	case f.Then != nil && (!k.leads || f.Then.Then != nil || f.Then.Kind == "calm"):
		return fmt.Errorf("%s, and then %s", f.Kind, f.Then.Kind)
	}
	if f.Then != nil {
		if err := f.Then.check(p); err != nil {
			return err
		}
	}
	if _, err := modeOf(f.Mode); err != nil {
		return err
	}
	t, err := parseTarget(f.Target, p)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", f.Kind, err)
	case t.isGroup() != k.ofGroup:
		return fmt.Errorf("%s of %q", f.Kind, f.Target)
	}
	return nil
}

func (c *ClientPlan) check(p *Plan) error {
	switch {
	case c.Node < 1 || c.Node > len(p.Nodes):
		return fmt.Errorf("it talks to node %d of %d", c.Node, len(p.Nodes))
	case c.Patience <= 0 || c.Patience > maxPlanTime:
		return fmt.Errorf("its patience is %s", c.Patience)
	case backoffs[c.Backoff].base == 0 && c.Backoff != "":
		return fmt.Errorf("there is no backoff %q", c.Backoff)
	case c.Retries < 0 || c.Retries > 100:
		return fmt.Errorf("it asks again %d times", c.Retries)
	}
	for i := range c.Ops {
		if err := c.Ops[i].check(&p.Knobs); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	return nil
}

func (o *Op) check(k *Knobs) error {
	kind, single := singles[o.Do]
	condition := slices.Index(conditions, o.If)
	p, _, ok := strings.Cut(o.Key, "/")
	switch {
	case !single && o.Do != "query" && o.Do != "scan" && o.Do != "batch" && o.Do != "index":
		return fmt.Errorf("there is no request %q", o.Do)
	case o.At < 0:
		return fmt.Errorf("%s at %s", o.Do, o.At)
	case condition < 0:
		return fmt.Errorf("there is no condition %q", o.If)
	case (single || o.Do == "batch") && (!ok || p == ""):
		return fmt.Errorf("key %q does not have the form hash/range", o.Key)
	case o.Do == "index" && !slices.ContainsFunc(k.indexes(), func(x indexInfo) bool { return x.name == o.Index }):
		return fmt.Errorf("there is no index %q", o.Index)
	case o.Do == "batch" && (!strings.Contains(o.Second, "/") || o.Second == o.Key):
		return fmt.Errorf("second key %q", o.Second)
	case (single && kind != Get && kind != Delete || o.Do == "batch") && o.Value == "":
		return fmt.Errorf("%s without a value", o.Do)
	case o.Bound < 0 || o.Bound >= len(sortBounds) || o.Limit < 0 || o.Least < 0 || o.Segments < 0 || o.Segments > 1000:
		return fmt.Errorf("bound %d, limit %d, least %d or segments %d", o.Bound, o.Limit, o.Least, o.Segments)
	}
	return nil
}

// singles are the requests about one key.
var singles = map[string]Kind{"get": Get, "put": Put, "add": Add, "delete": Delete}

// conditions names the Conditions.
var conditions = []string{Always: "", IfAbsent: "absent", IfPresent: "present", IfValue: "known"}

// name returns what the node of a number is called.
func nodeName(number int) string { return fmt.Sprint("n", number) }
