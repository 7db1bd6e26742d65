package sim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// A server is one life of a node: the rooms from what clients ask down to the disk,
// put together as package server does.
type server struct {
	e      *env.Env
	n      *node
	store  *lsm.DB
	node   *replication.Node
	calls  *transport.Calls // nil if there are no other nodes
	hooks  table.Hooks
	tables *table.Service
}

// A stack is what a run knows of what it runs on the nodes.
type stack interface {
	// open completes a server, whose store and log are open.
	open(s *server) error
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

var stacks = map[Stack]stack{TableStack: tableStack{}}

// boot opens the node on what the disk holds. It runs as a task of e.
func (n *node) boot(e *env.Env) (*server, error) {
	fs, k := n.disk.Mount(), &n.run.plan.Knobs
	v := n.run.newVerifier(e)
	store, err := lsm.Open(e, fs, k.lsm(v.events()))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	v.start(e, store)
	s := &server{e: e, n: n, store: store}
	o := k.replication(n.id)
	o.EnterGroup = func(id replication.GroupID) { n.run.jitter.enter(n.name, id) }
	o.Observer = n.run.consensus.observer(n.name)
	o.OnRole = func(id replication.GroupID, leading bool) {
		n.run.onRole(n, uint64(id), leading)
		s.hooks.OnRole(id, leading)
	}
	if n.run.net != nil {
		end := n.connect()
		o.Transport, s.calls = end, transport.NewCalls(e, end)
	}
	if s.node, err = replication.Open(e, fs, store, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open log: %w", err), s.close())
	}
	if err = n.run.stack.open(s); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// ready reports whether the node takes requests.
func (s *server) ready() bool { return s.tables.Ready() }

func (s *server) close() error {
	var errs []error
	if s.tables != nil {
		errs = append(errs, s.tables.Close())
	}
	if s.node != nil {
		errs = append(errs, s.node.Close())
	}
	return errors.Join(append(errs, s.store.Close())...)
}

// jitter stands in for crypto/rand.Reader, from which raft draws its election
// jitter: every group of every node has a stream of its own.
type jitter struct {
	world   *env.World
	current source
	streams map[source]*mrand.Rand
}

type source struct {
	node  string
	group replication.GroupID
}

func newJitter(w *env.World) *jitter { return &jitter{world: w, streams: map[source]*mrand.Rand{}} }

func (j *jitter) enter(node string, g replication.GroupID) { j.current = source{node, g} }

func (j *jitter) Read(p []byte) (int, error) {
	s := j.streams[j.current]
	if s == nil {
		s = j.world.Stream(fmt.Sprintf("raft/%s/%d", j.current.node, j.current.group))
		j.streams[j.current] = s
	}
	for i := range p {
		p[i] = byte(s.Uint32())
	}
	return len(p), nil
}

// replaceReader gives raft r until the returned function is called.
func replaceReader(r io.Reader) (restore func()) {
	old := rand.Reader
	rand.Reader = r
	return func() { rand.Reader = old }
}
