package transport

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/internal/env"
)

// A Site says where a node stands.
type Site struct {
	Name   string // of the node in the env.World
	Host   string // nodes of one host are a memory copy apart; "": a host of its own
	Zone   string // availability zone
	Region string
}

// A Class is a kind of link; it follows from the sites of the two nodes.
type Class byte

// The classes.
const (
	SameHost Class = iota
	SameZone
	InterZone // of one region
	InterRegion
	Classes
)

// A Quality says how a class of links behaves when nothing is wrong with it.
type Quality struct {
	// Base is the least latency. Each link draws its own from [Base, MaxBase].
	Base, MaxBase time.Duration
	// Tail is the scale of what comes on top for each message: [0, Tail) for
	// half of them, [Tail, 2 Tail) for a quarter, and so on.
	Tail time.Duration
	// Bandwidth is in bytes per second; 0: without limit.
	Bandwidth int64
}

// defaultQualities are what data centres show.
var defaultQualities = [Classes]Quality{
	SameHost:    {Base: 10 * time.Microsecond, MaxBase: 20 * time.Microsecond, Tail: 5 * time.Microsecond},
	SameZone:    {Base: 50 * time.Microsecond, MaxBase: 200 * time.Microsecond, Tail: 20 * time.Microsecond, Bandwidth: 1 << 30},
	InterZone:   {Base: 500 * time.Microsecond, MaxBase: 2 * time.Millisecond, Tail: 100 * time.Microsecond, Bandwidth: 1 << 30},
	InterRegion: {Base: 20 * time.Millisecond, MaxBase: 150 * time.Millisecond, Tail: 2 * time.Millisecond, Bandwidth: 128 << 20},
}

// NetworkOptions configure a Network. The zero value is a good default.
type NetworkOptions struct {
	// Qualities of classes; a zero one is the default: 10-20 µs on a host, 50-200 µs
	// in a zone, 0.5-2 ms between zones, 20-150 ms between regions.
	Qualities [Classes]Quality
	// LaneBytes is how much may be on its way on one lane of one link; what
	// exceeds it is dropped. Default 16 MB.
	LaneBytes int
	// NoticeCrash is how long others take to notice that a node went down, as
	// by a reset of their connections. Default 2 ms.
	NoticeCrash time.Duration
	// NoticeCut is how long a link must be cut, in either direction, until its
	// ends notice, as by the silence of a connection. Default 3 s.
	NoticeCut time.Duration
	// Hook is told what becomes of each message; it must not keep it. Default:
	// nobody.
	Hook func(Event)
	// Without returns what is left of a message when all that it says of a matter is taken
	// out of it: the message itself if it says nothing of that, nil if there is nothing else in it.
	// Default: messages stay as they are.
	Without func(lane Lane, message []byte, matter uint64) []byte
}

// A Fate is what becomes of a message.
type Fate byte

// The fates.
const (
	Delivered  Fate = iota
	Lost            // at random
	CutOff          // the link was cut when it was sent or when it would have arrived
	Corrupted       // bytes changed on the way, which its checksum showed
	Overflown       // too much was on its way
	NobodyHome      // the receiver is down, was started again meanwhile, or does not listen
	Doubled         // a second copy was sent; it has a fate of its own
	Delayed         // it was overtaken, lagged or waited for a clog to end; it has another fate besides
	Fates
)

func (f Fate) String() string {
	return [...]string{"delivered", "lost", "cut off", "corrupted", "overflown", "nobody home", "doubled", "delayed"}[f]
}

// An Event is a moment in the life of a message.
type Event struct {
	At       env.Mono
	From, To NodeID
	Lane     Lane
	Fate     Fate
	Message  []byte
}

// A Network is the simulated network of an env.World.
//
//  1. A message is copied, waits for the bandwidth of its link, and takes the
//     link's latency; a timer of the world then hands it to the receiver.
//  2. Messages of a lane arrive in order, unless the link is in trouble.
//  3. What is on its way to a node that crashes is gone, also if the node is
//     up again when it would have arrived.
//  4. A paused node receives what has come when it is resumed.
//
// Each ordered pair of nodes has a link, and each link draws from a random
// stream of its own, named after both: what happens on one does not change the
// luck of another. Everything that is delivered enters the hash of the world's
// trace.
//
// A Network is used by its world's tasks and callbacks only.
type Network struct {
	w *env.World
	o NetworkOptions

	nodes    map[NodeID]*netNode
	ids      []NodeID // sorted
	troubles []*Applied
	counts   [Fates]uint64
	idle     []*delivery
	slab     []byte // the rest of a block that copies are cut from
}

// A netNode is a node's place in the network.
type netNode struct {
	id    NodeID
	site  Site
	hash  uint64
	end   *Endpoint // of its present life; nil while it is down
	down  env.Mono  // since when, if end is nil
	links map[NodeID]*Link
	held  []*delivery // arrived during a pause
}

// NewNetwork returns a network without nodes.
func NewNetwork(w *env.World, o NetworkOptions) *Network {
	for c, q := range o.Qualities {
		if q == (Quality{}) {
			o.Qualities[c] = defaultQualities[c]
		}
	}
	if o.LaneBytes == 0 {
		o.LaneBytes = 16 << 20
	}
	if o.NoticeCrash == 0 {
		o.NoticeCrash = 2 * time.Millisecond
	}
	if o.NoticeCut == 0 {
		o.NoticeCut = 3 * time.Second
	}
	return &Network{w: w, o: o, nodes: map[NodeID]*netNode{}}
}

// Add gives a node of the world its place; site.Name must be known there.
func (n *Network) Add(id NodeID, site Site) {
	if id == 0 || n.nodes[id] != nil {
		panic(fmt.Sprintf("transport: node %d is 0 or there already", id))
	}
	if site.Host == "" {
		site.Host = site.Name
	}
	node := &netNode{id: id, site: site, hash: xxhash.Sum64String(site.Name), links: map[NodeID]*Link{}, down: n.w.Now()}
	n.nodes[id] = node
	at, _ := slices.BinarySearch(n.ids, id)
	n.ids = slices.Insert(n.ids, at, id)
	n.w.OnCrash(site.Name, func() { n.crash(node) })
	n.w.OnResume(site.Name, func() { n.resume(node) })
	for _, a := range n.troubles {
		a.reach()
	}
}

// Start returns the end of the network for a life of a node; e is the Env of
// that life. Until then, and after a crash, nothing reaches it.
func (n *Network) Start(id NodeID, e *env.Env) *Endpoint {
	node := n.node(id)
	node.end = &Endpoint{n: n, node: node, env: e}
	n.notify(node, true)
	return node.end
}

func (n *Network) node(id NodeID) *netNode {
	node := n.nodes[id]
	if node == nil {
		panic(fmt.Sprintf("transport: no node %d in the network", id))
	}
	return node
}

// Nodes returns all nodes, sorted.
func (n *Network) Nodes() []NodeID { return slices.Clone(n.ids) }

// Site returns where a node stands.
func (n *Network) Site(id NodeID) Site { return n.node(id).site }

// In returns the nodes that stand in a zone or a region, sorted. An empty name
// stands for all.
func (n *Network) In(region, zone string) []NodeID {
	var in []NodeID
	for _, id := range n.ids {
		s := n.nodes[id].site
		if (region == "" || s.Region == region) && (zone == "" || s.Zone == zone) {
			in = append(in, id)
		}
	}
	return in
}

// Except returns the other nodes, sorted.
func (n *Network) Except(ids []NodeID) []NodeID {
	return slices.DeleteFunc(n.Nodes(), func(id NodeID) bool { return slices.Contains(ids, id) })
}

// Count returns how many messages had a fate.
func (n *Network) Count(f Fate) uint64 { return n.counts[f] }

func (n *Network) tell(l *Link, lane Lane, f Fate, message []byte) {
	n.counts[f]++
	l.counts[f]++
	if n.o.Hook != nil {
		n.o.Hook(Event{At: n.w.Now(), From: l.from.id, To: l.to.id, Lane: lane, Fate: f, Message: message})
	}
}

// crash ends a life.
func (n *Network) crash(node *netNode) {
	if node.end == nil {
		return
	}
	node.end, node.down = nil, n.w.Now()
	for _, d := range node.held {
		n.finish(d, NobodyHome)
	}
	node.held = nil
	since := node.down
	n.w.After(n.o.NoticeCrash, func() {
		if node.end == nil && node.down == since {
			n.notify(node, false)
		}
	})
}

// notify tells the others that a node can be reached or not.
func (n *Network) notify(node *netNode, reachable bool) {
	for _, id := range n.ids {
		if other := n.nodes[id]; other != node && other.end != nil && (!reachable || !other.end.Unreachable(node.id)) {
			other.end.tell(node.id, reachable)
		}
	}
}

// resume hands over what came during a pause.
func (n *Network) resume(node *netNode) {
	held := node.held
	node.held = nil
	for _, d := range held {
		d.arrive()
	}
}

// slabBytes is the size of blocks that copies of small messages are cut from.
const slabBytes = 32 << 10

// copy returns a copy that nobody else has.
func (n *Network) copy(message []byte) []byte {
	if len(message) > slabBytes/16 {
		return slices.Clone(message)
	}
	if len(n.slab) < len(message) {
		n.slab = make([]byte, slabBytes)
	}
	c := n.slab[:len(message):len(message)]
	n.slab = n.slab[len(message):]
	copy(c, message)
	return c
}

// A delivery is a message on its way.
type delivery struct {
	n       *Network
	link    *Link
	to      *Endpoint // the life that it was sent to
	lane    Lane
	message []byte
	size    int
	queue   uint32 // of the link, when it was sent
	corrupt bool
	alarm   *env.Alarm
}

func (n *Network) take() *delivery {
	if k := len(n.idle); k > 0 {
		d := n.idle[k-1]
		n.idle = n.idle[:k-1]
		return d
	}
	d := &delivery{n: n}
	d.alarm = n.w.NewAlarm(d.arrive)
	return d
}

// arrive runs when the message is there.
func (d *delivery) arrive() {
	n, node := d.n, d.link.to
	switch {
	case node.end == nil || node.end != d.to || node.end.handlers[d.lane] == nil:
		n.finish(d, NobodyHome)
	case d.link.now.Cut || d.queue != d.link.queue:
		n.finish(d, CutOff)
	case d.corrupt && !d.passes():
		n.finish(d, Corrupted)
	case node.end.env.Paused():
		node.held = append(node.held, d)
	default:
		receive, from, message := d.to.handlers[d.lane], d.link.from.id, d.message
		n.w.Mix(xxhash.Sum64(message) ^ uint64(from)<<40 ^ uint64(node.id)<<8 ^ uint64(d.lane))
		n.finish(d, Delivered)
		receive(from, message)
	}
}

// passes changes a bit of the message's frame and reports whether the checksum
// misses it.
func (d *delivery) passes() bool {
	head := FrameHead(d.lane, d.message)
	bit := d.link.draw(uint64(len(d.message)+FrameHeader) * 8)
	if at := bit / 8; at < FrameHeader {
		head[at] ^= 1 << (bit % 8)
	} else {
		d.message[at-FrameHeader] ^= 1 << (bit % 8)
	}
	size, err := FrameSize(head[:])
	if err != nil || size != len(d.message) {
		return false
	}
	lane, err := CheckFrame(head[:], d.message)
	return err == nil && lane == d.lane
}

// finish ends the way of a message.
func (n *Network) finish(d *delivery, f Fate) {
	d.link.lanes[d.lane].bytes -= d.size
	n.tell(d.link, d.lane, f, d.message)
	*d = delivery{n: n, alarm: d.alarm}
	n.idle = append(n.idle, d)
}

// An Endpoint is one life of a node in a Network. It is a Transport.
type Endpoint struct {
	n        *Network
	node     *netNode
	env      *env.Env
	handlers [Lanes]func(NodeID, []byte)
	watchers []func(NodeID, bool)
}

// Self returns the node's own id.
func (e *Endpoint) Self() NodeID { return e.node.id }

// Handle says who receives the messages of a lane.
func (e *Endpoint) Handle(lane Lane, receive func(from NodeID, message []byte)) {
	e.handlers[lane] = receive
}

// Watch has f called when the node notices that another cannot be reached, or
// can be again.
func (e *Endpoint) Watch(f func(node NodeID, reachable bool)) { e.watchers = append(e.watchers, f) }

func (e *Endpoint) tell(node NodeID, reachable bool) {
	for _, f := range e.watchers {
		f(node, reachable)
	}
}

// Unreachable reports whether the node has noticed that another is down or cut
// off.
func (e *Endpoint) Unreachable(to NodeID) bool {
	if to == e.node.id {
		return false
	}
	other := e.n.nodes[to]
	if other == nil {
		return true
	}
	now := e.n.w.Now()
	return other.end == nil && now.Sub(other.down) >= e.n.o.NoticeCrash ||
		now >= e.n.link(e.node, other).silent || now >= e.n.link(other, e.node).silent
}

// Send sends a message. The end of a life that is over sends nothing.
func (e *Endpoint) Send(to NodeID, lane Lane, message []byte) {
	e.env.Now() // a task of a crashed node ends here
	other := e.n.nodes[to]
	if e.node.end != e || other == nil || len(message) > MaxMessage {
		return
	}
	e.n.link(e.node, other).send(lane, message)
}

// link returns the link from one node to another.
func (n *Network) link(from, to *netNode) *Link {
	l := from.links[to.id]
	if l == nil {
		l = n.newLink(from, to)
		from.links[to.id] = l
	}
	return l
}

const forever = env.Mono(math.MaxInt64)
