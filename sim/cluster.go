package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	whole "github.com/statordb/stator/server"
)

// A Cluster is a world for clients that are not the simulator's: nodes, disks, a network
// and the faults of a plan, but no clients, workload or history. Whoever has it drives
// its world; package simtest does, for users' tests.
//
// Methods that say so must be called from a task of Clients. There is one world at a time
// in a process: NewCluster waits until the others are closed.
type Cluster struct {
	r       *run
	restore func()
	down    map[*node]bool // held down by Crash
	cuts    []*transport.Applied
	delays  func() time.Duration
	applied func(group uint64, command []byte, result any)
}

// GuestPlan draws the plan of a cluster for guests: its faults; the knobs are like those
// of production, the clock of raft runs faster.
func GuestPlan(seed uint64, o Options) *Plan {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	o.Stack = GuestStack
	p := NewPlan(seed, o)
	p.Clients, p.Transactors, p.Churn, p.Expiry, p.Grammar, p.Engine, p.Rot = nil, nil, nil, nil, nil, nil, 0
	p.Knobs = Knobs{
		Partitions: p.Knobs.Partitions, SyncTime: Duration(200 * time.Microsecond),
		Memtable: 4 << 20, Table: 1 << 20, Base: 4 << 20, L0: 4, Ratio: 10, Threshold: 1024, Sync: "always",
		Workers: 1, Segment: 4 << 20, Segments: 16, Round: 4 << 20, Keep: 100, Tick: Duration(20 * time.Millisecond), Leaves: -1,
	}
	return p
}

// NewCluster makes the world of a plan. Close ends it.
func NewCluster(p *Plan, o Options) (*Cluster, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("sim: plan: %w", err)
	}
	running.Lock()
	c := &Cluster{r: newRun(p, o), down: map[*node]bool{}}
	c.restore = replaceReader(c.r.jitter)
	c.r.consensus.commit = c.noteApplied
	c.r.jitter.outside.Store(true)
	c.r.watch(0)
	links := c.r.world.Stream("client/guest")
	c.delays = func() time.Duration {
		d := p.Links.Client
		return d.Base.Std() + time.Duration(links.ExpFloat64()*float64(d.Tail))
	}
	return c, nil
}

// OnApplied has f told of each command of a partition that is applied for the first time anywhere, and of what it came to (a
// *partition.Result): so f knows in which order writes of an item took effect. It is called before Boot.
func (c *Cluster) OnApplied(f func(group uint64, command []byte, result any)) { c.applied = f }

// noteApplied keeps the groups of tables, which targets of faults count.
func (c *Cluster) noteApplied(group uint64, command []byte, result any) {
	if group == catalogGroup {
		return
	}
	if h := &c.r.history; !slices.Contains(h.groups, group) {
		h.groups = append(h.groups, group)
	}
	if c.applied != nil {
		c.applied(group, command, result)
	}
}

// Close ends the world.
func (c *Cluster) Close() {
	c.r.world.Close()
	c.restore()
	running.Unlock()
}

// Clients is the environment of the clients, a node without faults.
func (c *Cluster) Clients() *env.Env { return c.r.clients }

// World returns the world, to look at.
func (c *Cluster) World() *env.World { return c.r.world }

// Drive calls f, which runs the world. Outside of it crypto/rand.Reader, which a cluster
// replaces, has a stream of its own for others in the process.
func (c *Cluster) Drive(f func()) {
	c.r.jitter.outside.Store(false)
	defer c.r.jitter.outside.Store(true)
	f()
}

// Boot starts the nodes and, once all serve, the faults of the plan. It is called from a
// task of Clients.
func (c *Cluster) Boot() {
	r := c.r
	for _, n := range r.nodes {
		n.start(n.env)
	}
	r.awaitAll()
	r.stack.create(r)
	r.began = r.clients.Now()
	r.startNemesis()
}

// Heal ends all faults and demands that everything works again. It is called from a
// task of Clients.
func (c *Cluster) Heal() {
	c.r.ending = true
	c.Mend()
	for _, n := range c.r.nodes {
		if c.down[n] {
			c.release(n)
		}
	}
	c.r.heal()
}

// Err returns the first thing that must not happen, as far as it is known.
func (c *Cluster) Err() error { return c.r.err }

// Fired tells how often each fault has come to something.
func (c *Cluster) Fired() map[string]int { return c.r.fired }

// Plan returns the cluster's plan.
func (c *Cluster) Plan() *Plan { return c.r.plan }

// Errors of a request that got no answer, as a connection has them.
var (
	ErrRefused = errors.New("sim: connection refused") // nothing has happened
	ErrReset   = errors.New("sim: connection reset")   // nobody knows
)

// Ask sends a request to the node of a number, from 1, and waits for the answer. It is
// called from a task of Clients.
func (c *Cluster) Ask(number int, who whole.Caller, operation string, body []byte) (answer []byte, status int, err error) {
	type reply struct {
		answer []byte
		status int
	}
	r, n := c.r, c.r.nodes[number-1]
	r.clients.Sleep(c.delays())
	s := n.server
	if s == nil || !n.up() || !s.ready() {
		return nil, 0, ErrRefused
	}
	replied, back := env.NewFuture[reply](r.clients), c.delays()
	s.e.Go("request", func() {
		answer, status := s.whole.Handle(who, operation, body)
		r.world.After(back, func() { replied.Set(reply{answer, status}, nil) })
	})
	for {
		a, _, ok := replied.AwaitFor(10 * time.Millisecond)
		switch {
		case ok:
			return a.answer, a.status, nil
		case n.server != s:
			return nil, 0, ErrReset
		}
	}
}

// Up reports whether a node serves.
func (c *Cluster) Up(number int) bool {
	n := c.r.nodes[number-1]
	return n.up() && n.server != nil && n.server.ready()
}

// Crash cuts the power of a node, which stays down until Restart. mode is a key of
// crashModes.
func (c *Cluster) Crash(number int, mode string) {
	n := c.r.nodes[number-1]
	if !c.down[n] {
		c.down[n] = true
		n.holds++
	}
	n.crash(mustMode(mode))
}

// Restart brings a node up and waits until it takes requests. It is called from a task
// of Clients.
func (c *Cluster) Restart(number int) {
	n := c.r.nodes[number-1]
	if c.down[n] {
		c.release(n)
	}
	n.restart()
	for start := c.r.clients.Now(); !c.Up(number) && c.r.clients.Now().Sub(start) < c.r.limit(); {
		c.r.clients.Sleep(10 * time.Millisecond)
	}
}

func (c *Cluster) release(n *node) {
	delete(c.down, n)
	n.holds--
}

// Cut lets the nodes of these numbers and the others not reach each other.
func (c *Cluster) Cut(numbers ...int) { c.trouble(numbers, transport.Trouble{Cut: true}) }

// Slow lets all messages between these nodes and the others take longer.
func (c *Cluster) Slow(lag time.Duration, numbers ...int) {
	c.trouble(numbers, transport.Trouble{Lag: lag})
}

func (c *Cluster) trouble(numbers []int, t transport.Trouble) {
	if c.r.net == nil {
		return
	}
	var inside []transport.NodeID
	for _, number := range numbers {
		inside = append(inside, transport.NodeID(number))
	}
	c.cuts = append(c.cuts, c.r.net.Apply(transport.Between(inside, c.r.net.Except(inside)), t))
}

// Mend takes back what Cut and Slow have done.
func (c *Cluster) Mend() {
	for _, a := range c.cuts {
		a.Heal()
	}
	c.cuts = nil
}

// Down reports whether a node is down because of Crash.
func (c *Cluster) Down(number int) bool { return c.down[c.r.nodes[number-1]] }
