package transport

import (
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
)

// PPM is a chance in parts per million.
type PPM uint32

// Trouble is what may be wrong with links. Troubles of one link add up: it is cut
// while any of them cuts it, lags and chances are summed, the least bandwidth
// holds, and it is clogged until the last clog ends.
type Trouble struct {
	Cut       bool          // nothing gets through
	Loss      PPM           // messages vanish
	CallLoss  PPM           // requests and answers do (Call), while other lanes work
	Muted     uint64        // what messages say of this matter is taken out of them (NetworkOptions.Without); 0: of none
	Double    PPM           // messages come twice
	Reorder   PPM           // messages are overtaken
	Corrupt   PPM           // bytes change on the way; the receiver drops the message
	Lag       time.Duration // on top of the latency: the replication-lag dial
	Bandwidth int64         // bytes per second; 0: as the class says
	Clog      time.Duration // what is sent arrives so long after the trouble began, or later
}

// A Way names the ordered pair of nodes of a link.
type Way struct{ From, To NodeID }

// Toward returns the ways from some nodes to others.
func Toward(from, to []NodeID) []Way {
	var ways []Way
	for _, a := range from {
		for _, b := range to {
			if a != b {
				ways = append(ways, Way{a, b})
			}
		}
	}
	return ways
}

// Between returns the ways between two sets of nodes, both directions.
func Between(left, right []NodeID) []Way {
	ways := append(Toward(left, right), Toward(right, left)...)
	slices.SortFunc(ways, compareWays)
	return slices.Compact(ways)
}

func compareWays(a, b Way) int {
	if a.From != b.From {
		return compareIDs(a.From, b.From)
	}
	return compareIDs(a.To, b.To)
}

func compareIDs(a, b NodeID) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// Among returns the ways between any two of some nodes.
func Among(nodes []NodeID) []Way { return Toward(nodes, nodes) }

// Around returns the ways between a node and all others: its isolation.
func (n *Network) Around(id NodeID) []Way {
	return Between([]NodeID{id}, n.Except([]NodeID{id}))
}

// Into returns the ways to a node: cut, it is deaf.
func (n *Network) Into(id NodeID) []Way {
	return Toward(n.Except([]NodeID{id}), []NodeID{id})
}

// OutOf returns the ways from a node: cut, it is mute.
func (n *Network) OutOf(id NodeID) []Way {
	return Toward([]NodeID{id}, n.Except([]NodeID{id}))
}

// Bridge returns the ways between two halves of the network that know each other
// through one node only.
func (n *Network) Bridge(id NodeID) []Way {
	rest := n.Except([]NodeID{id})
	return Between(rest[:len(rest)/2], rest[len(rest)/2:])
}

// Link returns the link of a way.
func (n *Network) Link(from, to NodeID) *Link { return n.link(n.node(from), n.node(to)) }

// Applied is a trouble that links have, until it is healed.
type Applied struct {
	n       *Network
	ways    []Way
	trouble Trouble
	began   env.Mono
	off     bool // a flapping one in between
	flap    *env.Timer
}

// Apply gives links a trouble. Ways to nodes that are not there are kept for when
// they come. The world's trace says when it begins and ends.
func (n *Network) Apply(ways []Way, t Trouble) *Applied {
	a := &Applied{n: n, ways: ways, trouble: t, began: n.w.Now()}
	n.troubles = append(n.troubles, a)
	n.w.Note("network: trouble %+v on %v", t, ways)
	a.reach()
	return a
}

// Cut cuts links.
func (n *Network) Cut(ways []Way) *Applied { return n.Apply(ways, Trouble{Cut: true}) }

// Flap gives links a trouble that comes and goes.
func (n *Network) Flap(ways []Way, t Trouble, on, off time.Duration) *Applied {
	a := n.Apply(ways, t)
	a.flip(max(on, time.Microsecond), max(off, time.Microsecond))
	return a
}

func (a *Applied) flip(next, other time.Duration) {
	a.flap = a.n.w.After(next, func() {
		a.off = !a.off
		a.began = a.n.w.Now()
		a.reach()
		a.flip(other, next)
	})
}

// Heal ends the trouble. It may be called again.
func (a *Applied) Heal() {
	at := slices.Index(a.n.troubles, a)
	if at < 0 {
		return
	}
	if a.flap != nil {
		a.flap.Stop()
	}
	a.n.troubles = slices.Delete(a.n.troubles, at, at+1)
	a.n.w.Note("network: healed %+v on %v", a.trouble, a.ways)
	a.reach()
}

// Heal ends all troubles.
func (n *Network) Heal() {
	for _, a := range slices.Clone(n.troubles) {
		a.Heal()
	}
}

// reach brings the links of a trouble up to date.
func (a *Applied) reach() {
	for _, way := range a.ways {
		from, to := a.n.nodes[way.From], a.n.nodes[way.To]
		if from != nil && to != nil {
			a.n.link(from, to).update()
		}
	}
}

// update adds up what is wrong with the link.
func (l *Link) update() {
	was := l.now
	l.now, l.clog = Trouble{}, 0
	for _, a := range l.n.troubles {
		if !a.off && slices.Contains(a.ways, Way{l.from.id, l.to.id}) {
			l.now.add(a.trouble)
			l.clog = max(l.clog, a.began.Add(a.trouble.Clog))
		}
	}
	if was.Bandwidth > 0 && (l.now.Bandwidth == 0 || l.now.Bandwidth > was.Bandwidth) {
		l.widen()
	}
	switch {
	case l.now.Cut && !was.Cut:
		l.silent = l.n.w.Now().Add(l.n.o.NoticeCut)
		at := l.silent
		l.n.w.After(l.n.o.NoticeCut, func() { l.notice(at) })
	case !l.now.Cut && was.Cut:
		noticed := l.n.w.Now() >= l.silent
		l.silent = forever
		if noticed {
			l.recovered()
		}
	}
}

// notice tells both ends that the link has been cut for long.
func (l *Link) notice(at env.Mono) {
	if l.silent != at {
		return // healed meanwhile
	}
	if l.from.end != nil {
		l.from.end.tell(l.to.id, false)
	}
	if l.to.end != nil {
		l.to.end.tell(l.from.id, false)
	}
}

// recovered tells both ends that they reach each other, if they do.
func (l *Link) recovered() {
	if l.from.end == nil || l.to.end == nil || l.from.end.Unreachable(l.to.id) {
		return
	}
	l.from.end.tell(l.to.id, true)
	l.to.end.tell(l.from.id, true)
}

func (t *Trouble) add(u Trouble) {
	t.Cut = t.Cut || u.Cut
	t.Loss = min(1e6, t.Loss+u.Loss)
	t.CallLoss = min(1e6, t.CallLoss+u.CallLoss)
	t.Double = min(1e6, t.Double+u.Double)
	t.Reorder = min(1e6, t.Reorder+u.Reorder)
	t.Corrupt = min(1e6, t.Corrupt+u.Corrupt)
	if u.Muted != 0 { // of several the last one
		t.Muted = u.Muted
	}
	t.Lag += u.Lag
	t.Clog = max(t.Clog, u.Clog)
	if u.Bandwidth > 0 && (t.Bandwidth == 0 || u.Bandwidth < t.Bandwidth) {
		t.Bandwidth = u.Bandwidth
	}
}
