package sim

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	whole "github.com/statordb/stator/server"
	"github.com/statordb/stator/table"
)

// A server is one life of a node: all of package server but its listeners.
type server struct {
	e        *env.Env
	n        *node
	whole    *whole.Server
	verifier *verifier
	store    *lsm.DB
	log      *replication.Node
	tables   *table.Service
	looks    int               // that were taken at what it holds
	looked   map[uint64]uint64 // by group: the entry as of which its fingerprint was taken last
	open     int               // requests of clients that it carries out
}

// serve carries out a request of a client, as a task of the node.
func (s *server) serve(name string, f func()) {
	s.open++
	s.e.Go(name, func() {
		f()
		s.open--
	})
}

// A stack is what a run knows of what it runs on the nodes.
type stack interface {
	// options completes those of a node's server.
	options(n *node, o *whole.Options)
	// create is called once, when all nodes are up.
	create(r *run)
	// started is called whenever a node has come up.
	started(r *run, n *node)
	// awake waits until all nodes take requests.
	awake(r *run)
	// settle waits, once all faults are over, until nothing is under way any more.
	settle(r *run)
	// verify looks, at rest, whether everything is there.
	verify(r *run)
	// probe writes something through the node to each group.
	probe(s *server, value string) error
}

var stacks = map[Stack]stack{TableStack: tableStack{}, GuestStack: guestStack{}}

// boot opens the node on what the disk holds. It runs as a task of e.
func (n *node) boot(e *env.Env) (*server, error) {
	v := n.run.newVerifier(e)
	o := whole.Options{Log: slog.New(edgeLog{n.run})}
	o.Tuning.Store = func(o *lsm.Options) { *o = n.run.plan.Knobs.lsm(v.events()) }
	o.Tuning.Replication = n.tune
	if n.run.net != nil {
		o.Cluster = &whole.Cluster{Node: n.id, Zone: n.place.Zone, Transport: n.connect()}
	}
	n.run.stack.options(n, &o)
	made, err := whole.OpenOn(e, n.disk.Mount(), o)
	if err != nil {
		return nil, err
	}
	rooms := made.Rooms()
	v.start(e, rooms.Store)
	return &server{e: e, n: n, verifier: v, whole: made, store: rooms.Store, log: rooms.Node, tables: rooms.Tables, looked: map[uint64]uint64{}}, nil
}

// tune changes the log's options to the plan's knobs, and has the run watch it.
func (n *node) tune(o *replication.Options) {
	given := *o
	*o = n.run.plan.Knobs.replication(n.id)
	o.Transport = given.Transport
	o.EnterGroup = func(id replication.GroupID) { n.run.jitter.enter(n.name, id) }
	life := n.crashes
	o.Observer = n.run.consensus.observer(n.id, func() bool { return n.up() && n.crashes == life }, n.env.TrueTime)
	o.OnRole = func(id replication.GroupID, leading bool) {
		n.run.onRole(n, uint64(id), leading)
		if given.OnRole != nil {
			given.OnRole(id, leading)
		}
	}
}

// ready reports whether the node takes requests.
func (s *server) ready() bool { return s.tables.Ready() }

func (s *server) close() error {
	s.verifier.close()
	return s.whole.Close()
}

// jitter stands in for crypto/rand.Reader, from which raft draws its election
// jitter: every group of every node has a stream of its own.
type jitter struct {
	world   *env.World
	current source
	streams map[source]*mrand.Rand

	// Of a Cluster, where others in the process may read at the same time.
	outside atomic.Bool // the world stands still
	mu      sync.Mutex
	guests  *mrand.Rand // guarded by mu
}

type source struct {
	node  string
	group replication.GroupID
}

func newJitter(w *env.World) *jitter {
	return &jitter{world: w, streams: map[source]*mrand.Rand{}, guests: w.Stream("guests")}
}

func (j *jitter) enter(node string, g replication.GroupID) { j.current = source{node, g} }

func (j *jitter) Read(p []byte) (int, error) {
	if j.outside.Load() {
		j.mu.Lock()
		defer j.mu.Unlock()
		return fill(p, j.guests), nil
	}
	s := j.streams[j.current]
	if s == nil {
		s = j.world.Stream(fmt.Sprintf("raft/%s/%d", j.current.node, j.current.group))
		j.streams[j.current] = s
	}
	return fill(p, s), nil
}

func fill(p []byte, s *mrand.Rand) int {
	for i := range p {
		p[i] = byte(s.Uint32())
	}
	return len(p)
}

// replaceReader gives raft r until the returned function is called.
func replaceReader(r io.Reader) (restore func()) {
	old := rand.Reader
	rand.Reader = r
	return func() { rand.Reader = old }
}
