package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Options adjust what is drawn from a seed, and a run. The zero value is a good default.
type Options struct {
	// Trace receives every step, operation and fault, if not nil.
	Trace io.Writer
	// Picture keeps what only a picture of the run shows: messages between nodes.
	Picture bool
	// Brief leaves out of a run what comes after the clients' work: healing, and looking
	// whether everything is there.
	Brief bool
	// Duration is the virtual time in which clients and faults are at work;
	// default 3 s on one node, 20 s on several.
	Duration time.Duration
	// Calm draws no faults.
	Calm bool
	// LyingDisk makes syncs do nothing on all nodes, which no system survives: a
	// run must notice.
	LyingDisk bool
	// Nodes is how many nodes there are; default: the seed decides among one, three
	// and five, and for three mostly.
	Nodes int
	// Zones is how many zones they are in; default: three, if there are so many nodes.
	Zones int
	// Regions is how many regions these zones are in; default: the seed decides, one mostly.
	Regions int
	// Stack is what runs on them; default: the seed decides.
	Stack Stack
	// Attempts, if not 0, makes worlds in which nothing happens but that one zone at a time
	// dies and returns, and clients that make so many attempts, with pauses as Backoff says
	// ("standard", "2026", "legacy", or "" for none), and may not see an error. It takes three
	// zones.
	Attempts int
	Backoff  string
	// Workload are the loads, by the names that Loads tells; default: the seed decides.
	Workload []string
	// Faults are the kinds that may be drawn; default: all. The seed still leaves
	// some out.
	Faults []string
}

// A drawer draws a plan. It is the only place that asks chance what happens.
type drawer struct {
	*rand.Rand
	o      Options
	plan   *Plan
	ledger *ledgerDrawer // nil: the ledger has no clients
	tempo  tempo
	// noLedger: the plan has no transactors, unless they are asked for; see drawSize.
	noLedger bool
}

// NewPlan draws the plan of a seed.
func NewPlan(seed uint64, o Options) *Plan {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, 0xc0f19)), o: o, plan: &Plan{Version: PlanVersion, Seed: seed}}
	d.drawWorld()
	d.plan.Knobs = d.drawKnobs()
	d.drawRegions()
	d.drawSize()
	d.drawTransactors() // some faults are theirs
	d.drawHaste()
	if !o.Calm {
		d.drawDrift()
		d.drawNemesis()
		d.drawTransactionFaults()
		d.drawSplits()
	}
	d.tempo = d.drawTempo()
	d.drawClients()
	d.drawSteps()
	d.drawTransactions()
	d.drawLoads()
	d.drawEngine()
	if p := d.plan; p.breaksLeases() { // these know what consistent reads must show
		p.Churn, p.Expiry, p.Grammar = nil, nil, nil
	}
	if o.Attempts > 0 {
		d.drawAvailability()
	}
	if o.LyingDisk {
		for i := range d.plan.Nodes {
			d.plan.Nemesis = append(d.plan.Nemesis, Fault{Kind: "lying sync", Target: nodeName(i + 1), For: d.plan.For})
		}
	}
	return d.plan
}

func (d *drawer) one(choices ...int) int { return choices[d.IntN(len(choices))] }

// exp draws a time with a mean, at most ten times that.
func (d *drawer) exp(mean time.Duration) Duration {
	return Duration(time.Duration(min(10, d.ExpFloat64()) * float64(mean)).Round(10 * time.Microsecond))
}

func (d *drawer) cluster() bool { return len(d.plan.Nodes) > 1 }

func (d *drawer) drawWorld() {
	p := d.plan
	nodes := d.o.Nodes
	if nodes <= 0 {
		nodes = d.one(1, 1, 3, 3, 3, 3, 3, 5)
	}
	zones := d.o.Zones
	if zones <= 0 {
		zones = min(3, nodes)
	}
	for i := range nodes {
		p.Nodes = append(p.Nodes, NodePlan{Zone: string(rune('a' + i%zones)), Region: "r1"})
	}
	p.Stack = d.o.Stack
	if p.Stack == "" {
		p.Stack = TableStack
	}
	p.Policy = policies[d.one(0, 0, 0, 1, 2)]
	p.Links = Links{
		Zone:   Delay{Duration(100 * time.Microsecond), Duration(50 * time.Microsecond)},
		Region: Delay{Duration(500 * time.Microsecond), Duration(time.Duration(d.one(50, 200, 2000)) * time.Microsecond)},
		World:  Delay{Duration(20 * time.Millisecond), Duration(2 * time.Millisecond)},
		Client: Delay{Duration(200 * time.Microsecond), Duration(100 * time.Microsecond)},
	}
	p.For = Duration(3 * time.Second)
	if nodes > 1 {
		p.For = Duration(20 * time.Second)
	}
	if d.o.Duration > 0 {
		p.For = Duration(d.o.Duration)
	}
}

// Hot keys are few, so that operations meet; cold ones are written once each
// and give the engine something to flush and merge.
const (
	hotHashes, hotRanges = 3, 3
	coldHashes           = 5
)

func hotKey(i int) string { return fmt.Sprintf("p%d/s%d", i/hotRanges, i%hotRanges) }

// drawClients draws who asks for what.
func (d *drawer) drawClients() {
	p := d.plan
	clients := 2 + d.IntN(6)
	if d.cluster() {
		clients = 2 + d.IntN(4)
	}
	patience := Duration(time.Duration(d.one(20, 200, 2000)) * time.Millisecond)
	if d.cluster() {
		patience = Duration(time.Duration(d.one(200, 1000, 5000)) * time.Millisecond)
	}
	if len(p.regions()) > 1 {
		patience = max(patience, 25*p.Links.World.Base) // some round trips
	}
	roams, retries := d.IntN(3), d.one(0, 0, 2)
	var wanted []string
	for _, name := range clientLoads {
		if d.o.wants(name) {
			wanted = append(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return
	}
	for i := range clients {
		c := ClientPlan{Node: 1 + (i+d.IntN(2))%len(p.Nodes), Patience: patience, Roams: roams == 0 || roams == 1 && i%2 == 0, Retries: retries, Edge: d.IntN(2) == 0}
		for _, m := range d.drawMoments() {
			value := fmt.Sprintf("c%d.%d", i+1, len(c.Ops)+1)
			if len(d.o.Workload) > 0 {
				c.Ops = append(c.Ops, d.drawOf(wanted, m, value))
			} else {
				c.Ops = append(c.Ops, d.drawOp(m, value))
			}
		}
		p.Clients = append(p.Clients, c)
	}
}

// drawOp draws one request.
func (d *drawer) drawOp(m moment, value string) Op {
	o := Op{At: m.at, Value: value}
	switch k := d.IntN(20); {
	case k < 13:
		d.drawSingle(&o, d.hot(m))
	case k < 15:
		o.Do, o.Key = "put", fmt.Sprintf("cold%d/%s", d.IntN(coldHashes), value)
	case k < 17:
		d.drawQuery(&o, d.hash(m))
	case k < 18:
		o.Do, o.Value, o.Limit = "scan", "", d.IntN(2)*10
	default:
		d.drawBatch(&o, m)
	}
	return o
}

func (d *drawer) drawBatch(o *Op, m moment) {
	o.Do, o.Key, o.Second, o.Drop = "batch", d.hot(m), d.hot(m), d.IntN(2) == 0
	for o.Second == o.Key {
		o.Second = d.hot(m)
	}
}

func (d *drawer) drawSingle(o *Op, key string) {
	o.Key, o.Count = key, int64(d.IntN(5))
	switch k := d.IntN(10); {
	case k < 3:
		o.Do, o.Value, o.Count, o.Stale = "get", "", 0, d.IntN(3) == 0
		return
	case k < 6:
		o.Do = "put"
	case k < 8:
		o.Do, o.Count = "add", 1
	default:
		o.Do, o.Value, o.Count = "delete", "", 0
	}
	if d.IntN(2) == 0 {
		o.If = conditions[d.IntN(len(conditions))]
	}
}

func (d *drawer) drawQuery(o *Op, hash int) {
	o.Do, o.Value = "query", ""
	o.Key, o.Bound, o.Lower = fmt.Sprint("p", hash), d.IntN(len(sortBounds)), d.IntN(hotRanges)
	o.Upper, o.Limit, o.Reverse = o.Lower+d.IntN(hotRanges-o.Lower), d.IntN(4), d.IntN(2) == 0
}

// drawFilter has a query or scan show some of the items that it reads, at times.
func (d *drawer) drawFilter(o *Op) {
	switch d.IntN(4) {
	case 0:
		o.Least = int64(1 + d.IntN(4))
	case 1:
		o.If = conditions[IfValue]
	}
}

// drawSteps draws what else goes on, on stacks that have whole tables.
func (d *drawer) drawSteps() {
	p := d.plan
	if d.cluster() {
		return // see drawLoads
	}
	churn := time.Duration(d.one(5, 20, 100)) * time.Millisecond
	p.Churn = d.steps(churn)
	asked := len(d.o.Workload) > 0
	if d.IntN(2) == 0 || asked {
		p.Expiry = d.steps(ttlPause)
	}
	if d.IntN(2) == 0 && !d.o.Calm && !d.cluster() {
		p.Rot = 1 + d.Uint32N(1<<31)
	}
	if d.IntN(2) == 0 || asked {
		p.Grammar = d.steps(grammarPause)
	}
	for load, steps := range map[string]*[]Step{"tables": &p.Churn, "expiry": &p.Expiry, "grammar": &p.Grammar} {
		if !d.o.wants(load) {
			*steps = nil
		}
	} //sim:ok each is independent of the others
}

func (d *drawer) steps(mean time.Duration) (steps []Step) {
	for at := d.exp(mean); at < d.plan.For; at += d.exp(mean) {
		steps = append(steps, Step{at, d.Uint32()})
	}
	return steps
}

// rng returns the stream of a step.
func (s Step) rng() *rand.Rand { return rand.New(rand.NewPCG(uint64(s.Dice), 0x57e9)) }

// drawNemesis draws the faults: some of the kinds (swarm testing: a run with few
// kinds goes deeper than one with a little of everything), as long episodes with
// calm between them or, in some runs, over each other.
func (d *drawer) drawNemesis() {
	p := d.plan
	kinds, weights := d.swarm()
	if len(kinds) == 0 {
		return
	}
	pause := time.Duration(d.one(50, 200, 600)) * time.Millisecond
	if d.cluster() {
		pause = time.Duration(d.one(200, 1000, 3000)) * time.Millisecond
	}
	overlap := d.cluster() && d.IntN(3) == 0
	if d.cluster() && d.IntN(4) == 0 { // little but often: what needs a coincidence gets many tries
		kinds, weights = d.focus(kinds)
		pause = time.Duration(d.one(50, 200, 500)) * time.Millisecond
	}
	for at := d.exp(pause); at < p.For; {
		k := kinds[d.weighted(weights)]
		f := Fault{At: at, Kind: k.name}
		k.draw(d, &f)
		f.For = min(f.For, p.For-at)
		p.Nemesis = append(p.Nemesis, f)
		if overlap {
			if at += d.exp(pause); p.inForce(at) >= maxOverlap {
				at = p.lastEnd() + d.exp(pause)
			}
			continue
		}
		at += f.For
		if d.cluster() && d.IntN(2) == 0 || !d.cluster() {
			p.Nemesis = append(p.Nemesis, Fault{At: at + Duration(time.Millisecond), Kind: "calm"})
		}
		at += d.exp(pause)
	}
}

// maxOverlap is how many faults of a plan lie over each other before it waits for all to be
// over: where everything is always down, nothing is tested.
const maxOverlap = 3

// inForce counts the faults that are at a time.
func (p *Plan) inForce(at Duration) (n int) {
	for _, f := range p.Nemesis {
		if f.At <= at && at < f.At+f.For {
			n++
		}
	}
	return n
}

// lastEnd returns when all faults so far are over.
func (p *Plan) lastEnd() (end Duration) {
	for _, f := range p.Nemesis {
		end = max(end, f.At+f.For)
	}
	return end
}

// swarm chooses kinds of faults and how often each comes.
func (d *drawer) swarm() (chosen []*kind, weights []int) {
	for _, k := range kinds {
		if k.regions > len(d.plan.regions()) { // takes no dice, so that worlds of one region stay as they were
			continue
		}
		weight, off := d.one(1, 1, 2, 8), d.IntN(2) == 0
		if k.rare > 0 && d.IntN(k.rare) > 0 && d.o.Faults == nil {
			continue
		}
		if k.draw == nil || !k.fits(d.plan) || !d.wanted(k.name) {
			continue
		}
		if off && d.cluster() { // on a single node each fault is rare enough
			continue
		}
		chosen, weights = append(chosen, k), append(weights, weight)
	}
	return chosen, weights
}

// focus leaves one or two kinds.
func (d *drawer) focus(chosen []*kind) ([]*kind, []int) {
	a := d.IntN(len(chosen))
	b := d.IntN(len(chosen))
	if a == b {
		return []*kind{chosen[a]}, []int{1}
	}
	return []*kind{chosen[a], chosen[b]}, []int{1, 1}
}

func (d *drawer) wanted(name string) bool {
	if d.o.Faults == nil {
		return true
	}
	for _, f := range d.o.Faults {
		if f == name {
			return true
		}
	}
	return false
}

func (d *drawer) weighted(weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	at := d.IntN(sum)
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}
