package sim

import (
	"slices"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/replication"
)

// The faults of the network. Each is in force for its time.
var networkKinds = []*kind{
	{name: "isolate", what: "a node and all others do not reach each other", nodes: 3, draw: drawOne, do: around(cut)},
	{name: "deaf", what: "nothing reaches a node", nodes: 3, draw: drawOne, do: into(cut)},
	{name: "mute", what: "nothing that a node sends arrives", nodes: 3, draw: drawOne, do: outOf(cut)},
	{name: "flapping", what: "a node is isolated, and not, by turns of by", nodes: 3,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.By = d.exp(300 * time.Millisecond) }, do: doFlap},
	{name: "bridge", what: "two halves of the nodes reach each other only through one node", nodes: 3, draw: drawOne, do: doBridge},
	{name: "zone isolated", what: "a zone and the rest do not reach each other; n 1: nothing gets in, 2: nothing gets out", nodes: 3,
		draw: func(d *drawer, f *Fault) {
			f.Target, f.For, f.N = d.drawZone(), d.drawLength(time.Second), d.one(0, 0, 1, 2)
		}, do: doZone},
	{name: "swizzle", what: "nodes are clogged one by one, by apart, and freed in another order", nodes: 3,
		draw: func(d *drawer, f *Fault) {
			f.For, f.By, f.N = d.drawLength(time.Second), d.exp(200*time.Millisecond), d.IntN(6)
		}, do: doSwizzle},
	{name: "loss", what: "n of a million messages of a node are lost", nodes: 2, draw: drawChance, do: around(func(f *Fault) transport.Trouble {
		return transport.Trouble{Loss: chance(f)}
	})},
	{name: callsLost, what: "n of a million requests that a node sends to others, and of its answers to theirs, are lost; raft's messages arrive, so that it goes on to lead", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.N = d.one(100_000, 500_000, 1_000_000, 1_000_000) }, do: outOf(func(f *Fault) transport.Trouble {
			return transport.Trouble{CallLoss: chance(f)}
		})},
	{name: answersLost, what: "n of a million answers to what a node asks others for, and of their requests, are lost: what it asks for is done, and it does not hear so", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.N = d.one(300_000, 1_000_000) }, do: into(func(f *Fault) transport.Trouble {
			return transport.Trouble{CallLoss: chance(f)}
		})},
	{name: "duplicate", what: "n of a million messages of a node come twice", nodes: 2, draw: drawChance, do: around(func(f *Fault) transport.Trouble {
		return transport.Trouble{Double: chance(f)}
	})},
	{name: "reorder", what: "n of a million messages of a node are overtaken", nodes: 2, draw: drawChance, do: around(func(f *Fault) transport.Trouble {
		return transport.Trouble{Reorder: chance(f)}
	})},
	{name: "corrupt", what: "n of a million messages of a node are damaged on their way", nodes: 2, draw: drawChance, do: around(func(f *Fault) transport.Trouble {
		return transport.Trouble{Corrupt: chance(f)}
	})},
	{name: "clog", what: "what a node sends and is sent arrives when the fault is over", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.For = min(f.For, maxClog) }, do: around(func(f *Fault) transport.Trouble {
			return transport.Trouble{Clog: f.For.Std()}
		})},
	{name: groupDeaf, what: "what a node is sent about one group (n 1: the catalog) is lost, and nothing else: it does not learn what others decide", nodes: 3,
		draw: func(d *drawer, f *Fault) {
			if drawOne(d, f); d.IntN(2) == 0 {
				f.Target = nodeName(1 + d.IntN(len(d.plan.Nodes)))
			}
			if f.N = 1; d.IntN(3) == 0 {
				f.N = 1 + d.IntN(1+2*d.plan.Knobs.Partitions)
			}
		}, do: doGroupDeaf},
	{name: clientLink, what: "clients do not reach a node; n 1: only its answers are lost", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.N = d.IntN(2) }, do: doClientLink},
	{name: "lag", what: "all messages of a node, or of those of a zone, take by longer", nodes: 2,
		draw: func(d *drawer, f *Fault) {
			drawOne(d, f)
			if d.IntN(3) == 0 {
				f.Target = d.drawZone()
			}
			f.By = d.exp(time.Duration(d.one(5, 100, 500)) * time.Millisecond)
		}, do: around(func(f *Fault) transport.Trouble {
			return transport.Trouble{Lag: f.By.Std()}
		})},
	{name: "thin link", what: "n bytes a second of a node get through", nodes: 2,
		draw: func(d *drawer, f *Fault) { drawOne(d, f); f.N = 1000 << d.IntN(8) }, do: around(func(f *Fault) transport.Trouble {
			return transport.Trouble{Bandwidth: int64(max(1, f.N))}
		})},
}

const (
	clientLink  = "client link"
	callsLost   = "calls lost"
	answersLost = "answers lost"
	groupDeaf   = "group deaf"
)

// maxClog bounds how late a message can be, so that a run knows when none is under
// way any more.
const maxClog = Duration(4 * time.Second)

func drawOne(d *drawer, f *Fault) { f.Target, f.For = d.drawTarget(), d.drawLength(time.Second) }

func drawChance(d *drawer, f *Fault) {
	drawOne(d, f)
	f.N = d.one(10_000, 50_000, 200_000, 500_000)
}

func chance(f *Fault) transport.PPM { return transport.PPM(min(f.N, 1_000_000)) }

func cut(*Fault) transport.Trouble { return transport.Trouble{Cut: true} }

// connect gives a new life of a node its end of the network.
func (n *node) connect() *transport.Endpoint { return n.run.net.Start(transport.NodeID(n.id), n.env) }

// trouble is in force on links while a fault lasts.
func (r *run) trouble(f *Fault, ways []transport.Way, t transport.Trouble) {
	if len(ways) == 0 {
		r.excuse(f, "no link goes out of %s", f.Target)
		return
	}
	before := r.net.Count(transport.Delivered)
	a := r.net.Apply(ways, t)
	r.hold(f)
	a.Heal()
	if r.net.Count(transport.Delivered) > before || t.Cut {
		r.came(f)
	} else {
		r.excuse(f, "no message was on its way")
	}
}

// waysOf collects the ways of all nodes that a fault is for.
func (r *run) waysOf(f *Fault, of func(transport.NodeID) []transport.Way) (ways []transport.Way) {
	for _, n := range r.targets(f) {
		ways = append(ways, of(transport.NodeID(n.id))...)
	}
	return ways
}

func around(what func(f *Fault) transport.Trouble) func(r *run, f *Fault) {
	return func(r *run, f *Fault) { r.trouble(f, r.waysOf(f, r.net.Around), what(f)) }
}

func into(what func(f *Fault) transport.Trouble) func(r *run, f *Fault) {
	return func(r *run, f *Fault) { r.trouble(f, r.waysOf(f, r.net.Into), what(f)) }
}

func outOf(what func(f *Fault) transport.Trouble) func(r *run, f *Fault) {
	return func(r *run, f *Fault) { r.trouble(f, r.waysOf(f, r.net.OutOf), what(f)) }
}

// withoutGroup takes out of a message what it says of a group.
func (r *run) withoutGroup(lane transport.Lane, message []byte, group uint64) []byte {
	if lane != transport.Raft {
		return message
	}
	rest := replication.WithoutGroup(message, replication.GroupID(group))
	if len(rest) != len(message) {
		r.unheard++
	}
	return rest
}

// doGroupDeaf is in force for a group, whoever leads it. The node still hears the nodes that it shares
// other groups with, and may be asked about what it does not know.
func doGroupDeaf(r *run, f *Fault) {
	group := r.groupOf(max(1, f.N))
	ways := r.waysOf(f, r.net.Into)
	if group == 0 || len(ways) == 0 {
		r.excuse(f, "there was no such group, or nobody to be deaf")
		return
	}
	before := r.unheard
	a := r.net.Apply(ways, transport.Trouble{Muted: group})
	r.hold(f)
	if a.Heal(); r.unheard > before {
		r.came(f)
	} else {
		r.excuse(f, "nobody had anything to say to %s about group %d", f.Target, group)
	}
}

// doClientLink fires where a request or an answer is lost; see client.attempt.
func doClientLink(r *run, f *Fault) {
	nodes := r.targets(f)
	for _, n := range nodes {
		if n.mute = append(n.mute, f); f.N == 0 {
			n.deaf = append(n.deaf, f)
		}
	}
	r.hold(f)
	isThis := func(x *Fault) bool { return x == f }
	for _, n := range nodes {
		n.mute, n.deaf = slices.DeleteFunc(n.mute, isThis), slices.DeleteFunc(n.deaf, isThis)
	}
	r.excuse(f, "no client asked %s", f.Target)
}

func doBridge(r *run, f *Fault) { r.trouble(f, r.waysOf(f, r.net.Bridge), cut(f)) }

func doFlap(r *run, f *Fault) { r.flap(f, r.waysOf(f, r.net.Around)) }

func (r *run) flap(f *Fault, ways []transport.Way) {
	if len(ways) == 0 {
		r.excuse(f, "no link goes out of %s", f.Target)
		return
	}
	r.came(f)
	a := r.net.Flap(ways, cut(f), f.By.Std(), f.By.Std())
	r.hold(f)
	a.Heal()
}

func doZone(r *run, f *Fault) {
	inside := r.inside(f)
	outside := r.net.Except(inside)
	ways := transport.Between(inside, outside)
	switch f.N {
	case 1:
		ways = transport.Toward(outside, inside)
	case 2:
		ways = transport.Toward(inside, outside)
	}
	r.trouble(f, ways, cut(f))
}

func doSwizzle(r *run, f *Fault) {
	r.came(f)
	var clogged []*transport.Applied
	for _, n := range r.nodes {
		clogged = append(clogged, r.net.Cut(r.net.Around(transport.NodeID(n.id))))
		r.clients.Sleep(f.By.Std())
	}
	r.hold(f)
	for i := range clogged {
		clogged[(i*(1+2*(f.N%3))+f.N)%len(clogged)].Heal()
		r.clients.Sleep(f.By.Std())
	}
	for _, a := range clogged {
		a.Heal()
	}
}
