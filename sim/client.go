package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
)

// A client is one task outside of the nodes. It sends one request at a time and
// gives up after its patience, as an SDK would. It stays with the node it knows, if
// it does not roam.
type client struct {
	run   *run
	plan  *ClientPlan
	name  string
	id    int // a new one after every unknown outcome
	node  *node
	rng   *rand.Rand        // of its links
	knows map[string]string // last value seen of a key, for conditions
}

func (r *run) newClient(p *ClientPlan, name string) *client {
	return &client{
		run: r, plan: p, name: name, id: r.newID(), node: r.nodes[p.Node-1], rng: r.world.Stream("client/" + name),
		knows: map[string]string{},
	}
}

func (r *run) startClients() {
	for i := range r.plan.Clients {
		c := r.newClient(&r.plan.Clients[i], fmt.Sprint("c", i+1))
		r.tasks.Go(c.name, func() error {
			for k := range c.plan.Ops {
				o := &c.plan.Ops[k]
				r.sleepUntil(o.At)
				if r.ending {
					break
				}
				c.request(o)
			}
			return nil
		})
	}
}

// sleepUntil parks the calling task until a time of the plan.
func (r *run) sleepUntil(at Duration) {
	if d := at.Std() - time.Duration(r.clients.Now()-r.began); d > 0 {
		r.clients.Sleep(d)
	}
}

// request sends one request of the plan.
func (c *client) request(o *Op) {
	kind, single := singles[o.Do]
	switch {
	case single:
		for attempt := range c.plan.Retries + 1 {
			if attempt > 0 {
				c.pause(attempt)
			}
			op, asked := c.operation(o, kind), c.node
			if attempt > 0 && op.Value != "" {
				op.Value += fmt.Sprint("r", attempt) // another write, for all that the service knows
			}
			if o.Do == "put" && strings.HasPrefix(o.Key, "cold") {
				c.run.cold = append(c.run.cold, o.Key)
			}
			c.single(op)
			if op.Outcome != Unknown && op.Outcome != Failed || attempt == c.plan.Retries {
				c.judge(op)
				break
			}
			c.elsewhere(asked)
		}
	case o.Do == "query":
		c.query(o)
	case o.Do == "scan":
		c.scan(o)
	case o.Do == "index":
		c.index(o)
	default:
		c.batch(o)
	}
}

// operation is what a request for one key amounts to now.
func (c *client) operation(o *Op, kind Kind) *Operation {
	op := &Operation{Client: c.id, Key: o.Key, Kind: kind, Value: o.Value, Count: o.Count, Stale: o.Stale}
	if op.If = Condition(slices.Index(conditions, o.If)); op.If == IfValue {
		op.Expected = c.knows[o.Key]
	}
	return op
}

// An answer is the outcome of one operation of a request.
type answer struct {
	outcome Outcome
	saw     *State
}

// maxOpen is how many operations on one key may be under way: clients that have
// given up leave theirs behind.
const maxOpen = 8

func (r *run) crowded(operations []*Operation) bool {
	return slices.ContainsFunc(operations, func(o *Operation) bool { return r.history.Open(o.Key) >= maxOpen })
}

// send runs f, which answers all operations, as a request on a node, and waits for
// the answer as long as its patience lasts. An answer that comes later still counts:
// only a crash leaves an outcome unknown for good. It reports whether one has come in time.
func (c *client) send(name string, operations []*Operation, f func(e entrance) ([]answer, error)) bool {
	r := c.run
	n := c.target()
	if n == nil || r.crowded(operations) {
		return false
	}
	for _, o := range operations {
		if o.Stale {
			o.Fresh = r.freshSince()
		}
		r.history.Begin(o)
	}
	if !c.attempt(name, n, operations, f) {
		c.id = r.newID() // the old one may be answered yet
		if c.plan.Roams {
			c.node = r.nodes[int(n.id)%len(r.nodes)]
		}
		return false
	}
	for _, o := range operations {
		if o.Saw != nil {
			c.knows[o.Key] = o.Saw.Value
		}
	}
	return true
}

// target returns the node to ask: the one that the client knows or, if that is down
// and the client roams, the next one that is up; nil if there is none.
func (c *client) target() *node {
	for c.node.gone && c.node.heir != nil {
		c.node = c.node.heir
	}
	for i := range c.run.nodes {
		n := c.run.nodes[(int(c.node.id)-1+i)%len(c.run.nodes)]
		if n.up() && n.server != nil {
			return n
		}
		if !c.plan.Roams {
			break
		}
	}
	return nil
}

// entrance is where the client's requests enter a node.
func (c *client) entrance(s *server) entrance {
	if c.plan.Edge {
		return edgeEntrance{s}
	}
	return tableEntrance{s}
}

// delay draws how long a message between the client and a node is under way.
func (c *client) delay() time.Duration {
	d := c.run.plan.Links.Client
	return d.Base.Std() + time.Duration(c.rng.ExpFloat64()*float64(d.Tail))
}

// attempt asks one node, and reports whether it has answered in time.
func (c *client) attempt(name string, n *node, operations []*Operation, f func(e entrance) ([]answer, error)) bool {
	r := c.run
	end := func(o *Operation, outcome Outcome, saw *State) {
		if outcome != Unknown {
			r.history.End(o, outcome, saw)
		}
		r.world.Note("%s", o)
	}
	r.clients.Sleep(c.delay())
	if len(n.deaf) > 0 {
		r.came(n.deaf[0])
		r.clients.Sleep(c.plan.Patience.Std())
		return false
	}
	s := n.server
	if s == nil || !n.up() { // the connection is refused
		for _, o := range operations {
			end(o, Failed, nil)
		}
		return true
	}
	for _, o := range operations {
		o.Served = n.name
		r.history.enter(o, n.id)
	}
	answered, back := env.NewFuture[bool](r.clients), c.delay()
	s.serve(name, func() {
		answers := make([]answer, len(operations))
		var err error
		if s.ready() {
			answers, err = f(c.entrance(s))
		} else {
			for i := range answers {
				answers[i].outcome = Failed
			}
		}
		if err != nil {
			r.fail(err)
			answers = make([]answer, len(operations))
		}
		lost := len(n.mute) > 0
		for i, o := range operations {
			if !lost {
				end(o, answers[i].outcome, answers[i].saw)
			}
			r.history.leave(o, n.id)
		}
		if lost {
			r.came(n.mute[0])
			return
		}
		r.world.After(back, func() { answered.Set(true, nil) })
	})
	_, _, ok := answered.AwaitFor(c.plan.Patience.Std())
	return ok
}

func (c *client) single(o *Operation) {
	c.send("request", []*Operation{o}, func(e entrance) ([]answer, error) {
		outcome, saw, err := e.single(o)
		return []answer{{outcome, saw}}, err
	})
}

// gets are the reads that a request for many keys amounts to.
func (c *client) gets(keys []string, stale bool) []*Operation {
	operations := make([]*Operation, len(keys))
	for i, key := range keys {
		operations[i] = &Operation{Client: c.id, Key: key, Kind: Get, Stale: stale}
	}
	return operations
}

// query reads one item collection, a few rows a page, in either direction.
func (c *client) query(o *Op) {
	q := &reading{
		hash: o.Key, bound: o.Bound, lower: o.Lower, upper: o.Upper, reverse: o.Reverse, limit: o.Limit, filter: c.run.plan.Knobs.Facets, stale: o.Stale,
		least: o.Least, only: c.only(o, fmt.Sprintf("%s/s%d", o.Key, o.Lower)),
	}
	var keys []string
	for s := range hotRanges {
		if sortBounds[o.Bound].holds(s, o.Lower, o.Upper) {
			keys = append(keys, fmt.Sprintf("%s/s%d", o.Key, s))
		}
	}
	if len(keys) == 0 {
		return
	}
	c.pages("query", q, keys)
}

// scan reads the hot keys out of the whole table.
func (c *client) scan(o *Op) {
	var keys []string
	for i := range hotHashes * hotRanges {
		keys = append(keys, hotKey(i))
	}
	q := &reading{limit: o.Limit, filter: c.run.plan.Knobs.Facets, stale: o.Stale, least: o.Least, only: c.only(o, hotKey(0)), of: o.Segments}
	c.pages("scan", q, keys)
}

// only returns the value that a filter asks for; "": none.
func (c *client) only(o *Op, key string) string {
	if o.If == conditions[IfValue] {
		return c.knows[key]
	}
	return ""
}

// sortBounds are the conditions on the sort key of a query.
var sortBounds = []struct {
	text  string
	holds func(s, lower, upper int) bool
}{
	{"", func(s, lower, upper int) bool { return true }},
	{" AND s < :u", func(s, lower, upper int) bool { return s < upper }},
	{" AND s <= :u", func(s, lower, upper int) bool { return s <= upper }},
	{" AND s > :l", func(s, lower, upper int) bool { return s > lower }},
	{" AND s >= :l", func(s, lower, upper int) bool { return s >= lower }},
	{" AND s = :l", func(s, lower, upper int) bool { return s == lower }},
	{" AND s BETWEEN :l AND :u", func(s, lower, upper int) bool { return lower <= s && s <= upper }},
}

// same answers all operations of a request alike.
func (r *run) same(n int, it item.Item, err error) ([]answer, error) {
	o, saw, err := r.outcome(it, err)
	answers := make([]answer, n)
	for i := range answers {
		answers[i] = answer{o, saw}
	}
	return answers, err
}

// batch writes two hot keys in one request, each on its own.
func (c *client) batch(op *Op) {
	operations := []*Operation{
		{Client: c.id, Key: op.Key, Kind: Put, Value: op.Value + "a"},
		{Client: c.id, Key: op.Second, Kind: Put, Value: op.Value + "b"},
	}
	if op.Drop {
		operations[1].Kind = Delete
	}
	c.send("batch", operations, func(e entrance) ([]answer, error) { return e.batch(operations) })
}
