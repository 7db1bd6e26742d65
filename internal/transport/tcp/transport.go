package tcp

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// Options configure a Transport. Zero values are good but for the first two; without
// those it only answers greetings.
type Options struct {
	Self    transport.NodeID
	Cluster ClusterID
	// TLS has every connection encrypted and both ends show certificates; see
	// LoadTLS. Default: none, for networks that nobody else is in.
	TLS *tls.Config
	// Greet answers strangers, who have no place in the cluster yet; see the
	// function Greet. Default: they are refused.
	Greet func(request []byte) []byte
	// LaneBytes is how much may wait to be sent to a peer on each lane; what
	// exceeds it is dropped. Default 32 MB for Raft, 64 MB for Call, 8 MB for
	// Snapshot.
	LaneBytes [transport.Lanes]int
	// Beat is how often an end of a silent connection says that it is alive. After
	// four beats without a word a connection is given up. Default 1 s.
	Beat time.Duration
	// Tick is the unit of the cluster's clocks, on which leases rely: a node that has
	// another one is refused. Default 0, which is one like any other.
	Tick time.Duration
	// Log receives who comes and goes. Default: nothing.
	Log *slog.Logger

	backoff    time.Duration // the first pause between attempts to reach a node; default backoffMin
	writeLimit time.Duration // of one batch; default writeTimeout
}

func (o *Options) setDefaults() {
	for lane, bytes := range [transport.Lanes]int{transport.Raft: 32 << 20, transport.Call: 64 << 20, transport.Snapshot: 8 << 20} {
		if o.LaneBytes[lane] == 0 {
			o.LaneBytes[lane] = bytes
		}
	}
	if o.Beat == 0 {
		o.Beat = time.Second
	}
	if o.backoff == 0 {
		o.backoff = backoffMin
	}
	if o.writeLimit == 0 {
		o.writeLimit = writeTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// A Transport is a node's end of a real network. It is safe for concurrent use.
//
// Messages of one lane that arrive from several nodes are handed over by
// several goroutines at a time. A message for a lane that nobody handles yet
// is dropped.
type Transport struct {
	o           Options
	listener    net.Listener
	incarnation uint64

	stop  context.Context
	end   context.CancelFunc
	tasks sync.WaitGroup

	handlers [transport.Lanes]atomic.Pointer[func(transport.NodeID, []byte)]
	table    atomic.Pointer[map[transport.NodeID]*peer] // immutable; replaced under mu
	delays   delayLine

	mu       sync.Mutex
	watchers []func(transport.NodeID, bool)
	inbound  map[inboundKey]net.Conn // the latest of each
	conns    map[net.Conn]struct{}   // all that Close must close
	guests   int                     // connections that have not said hello
	cut      map[transport.NodeID]bool
	closed   bool

	refused   string // what was logged last of a refused connection
	refusedAt time.Time
}

type inboundKey struct {
	from transport.NodeID
	lane transport.Lane
}

// New serves the cluster's traffic on l, which it closes in the end.
func New(l net.Listener, o Options) *Transport {
	o.setDefaults()
	t := &Transport{
		o: o, listener: l, incarnation: randomNumber(),
		inbound: map[inboundKey]net.Conn{}, conns: map[net.Conn]struct{}{}, cut: map[transport.NodeID]bool{},
	}
	t.stop, t.end = context.WithCancel(context.Background())
	t.table.Store(&map[transport.NodeID]*peer{})
	t.addPeer(t.newPeer(o.Self, "")) // whose lanes lead back
	t.tasks.Go(t.accept)
	return t
}

func randomNumber() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:])
}

// Self returns the node's own id.
func (t *Transport) Self() transport.NodeID { return t.o.Self }

// Addr returns the address that it listens on.
func (t *Transport) Addr() net.Addr { return t.listener.Addr() }

// Handle says who receives the messages of a lane.
func (t *Transport) Handle(lane transport.Lane, receive func(from transport.NodeID, message []byte)) {
	t.handlers[lane].Store(&receive)
}

// Watch has f called when a connection to or from a node breaks, or one to it is
// made.
func (t *Transport) Watch(f func(node transport.NodeID, reachable bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = append(t.watchers, f)
}

func (t *Transport) tell(node transport.NodeID, reachable bool) {
	t.mu.Lock()
	watchers := t.watchers
	t.mu.Unlock()
	for _, f := range watchers {
		f(node, reachable)
	}
}

// SetPeer says where a node is, or that it has moved.
func (t *Transport) SetPeer(id transport.NodeID, addr string) {
	if id == t.o.Self {
		return
	}
	if p := t.peer(id); p != nil {
		p.move(addr)
		return
	}
	t.addPeer(t.newPeer(id, addr))
}

// RemovePeer forgets a node and ends the connections to it.
func (t *Transport) RemovePeer(id transport.NodeID) {
	if id == t.o.Self {
		return
	}
	t.mu.Lock()
	p := (*t.table.Load())[id]
	next := maps.Clone(*t.table.Load())
	delete(next, id)
	t.table.Store(&next)
	t.mu.Unlock()
	if p != nil {
		p.end()
	}
}

func (t *Transport) peer(id transport.NodeID) *peer { return (*t.table.Load())[id] }

// addPeer starts the senders of a peer that is not there yet.
func (t *Transport) addPeer(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.table.Load()
	if t.closed || old[p.id] != nil {
		return
	}
	next := maps.Clone(old)
	next[p.id] = p
	t.table.Store(&next)
	for _, s := range p.lanes {
		t.tasks.Go(s.run)
	}
}

// Send sends a message.
func (t *Transport) Send(to transport.NodeID, lane transport.Lane, message []byte) {
	if p := t.peer(to); p != nil && len(message) <= transport.MaxMessage {
		p.lanes[lane].send(message)
	}
}

// Unreachable reports whether the last attempt to reach a node failed.
func (t *Transport) Unreachable(to transport.NodeID) bool {
	p := t.peer(to)
	return p == nil || p.down.Load()
}

// Cut has nothing pass to and from some nodes until Heal, as if cables were
// pulled: for demonstrations.
func (t *Transport) Cut(nodes ...transport.NodeID) {
	t.mu.Lock()
	for _, id := range nodes {
		t.cut[id] = true
	}
	var lost []net.Conn
	for key, c := range t.inbound {
		if t.cut[key.from] {
			lost = append(lost, c)
		}
	}
	t.mu.Unlock()
	for _, c := range lost {
		_ = c.Close()
	}
	for _, id := range nodes {
		if p := t.peer(id); p != nil && id != t.o.Self {
			p.interrupt()
		}
	}
}

// Heal ends all cuts.
func (t *Transport) Heal() {
	t.mu.Lock()
	clear(t.cut)
	t.mu.Unlock()
	for _, p := range *t.table.Load() {
		p.interrupt()
	}
}

func (t *Transport) isCut(id transport.NodeID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut[id]
}

// A PeerStatus says how the traffic with a peer goes.
type PeerStatus struct {
	ID          transport.NodeID
	Addr        string
	Unreachable bool
	Cut         bool
	Delay       time.Duration // of what is sent to it
	Error       string        // of the last attempt to reach it
	Sent        uint64        // messages
	Dropped     uint64
}

// Peers returns all peers, by id.
func (t *Transport) Peers() []PeerStatus {
	var all []PeerStatus
	for _, p := range *t.table.Load() {
		if p.id != t.o.Self {
			all = append(all, p.status())
		}
	}
	slices.SortFunc(all, func(a, b PeerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// track has Close close a connection; it reports false if it is too late.
func (t *Transport) track(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.conns[c] = struct{}{}
	return true
}

func (t *Transport) drop(c net.Conn) {
	_ = c.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// Close ends all connections and waits for the goroutines. What waits to be sent
// is dropped.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	conns := slices.Collect(maps.Keys(t.conns))
	t.mu.Unlock()
	t.end()
	t.delays.close()
	err := t.listener.Close()
	for _, c := range conns {
		_ = c.Close()
	}
	t.tasks.Wait()
	return err
}
