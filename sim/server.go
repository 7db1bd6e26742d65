package sim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// serverName is the node under test.
const serverName = "server"

// A server is one life of the node under test: the rooms from the table
// operation down to the disk, put together as package server does.
type server struct {
	e      *env.Env
	store  *lsm.DB
	node   *replication.Node
	tables *table.Service
}

// boot opens the node on what the disk holds. It runs as a task of e.
func (r *run) boot(e *env.Env) (*server, error) {
	fs := r.disk.Mount()
	v := r.newVerifier(e)
	store, err := lsm.Open(e, fs, r.config.lsm(v.events()))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	v.start(e, store)
	s := &server{e: e, store: store}
	o := r.config.replication()
	o.EnterGroup, o.Observer = r.jitter.enter, r.consensus.observer(serverName)
	if s.node, err = replication.Open(e, fs, store, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open log: %w", err), s.close())
	}
	if s.tables, err = table.Open(e, store, s.node, table.Options{TTLInterval: ttlInterval}); err != nil {
		return nil, errors.Join(fmt.Errorf("open tables: %w", err), s.close())
	}
	return s, nil
}

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
// jitter: every group has a stream of its own.
type jitter struct {
	world   *env.World
	group   replication.GroupID
	streams map[replication.GroupID]*mrand.Rand
}

func (j *jitter) enter(g replication.GroupID) { j.group = g }

func (j *jitter) Read(p []byte) (int, error) {
	s := j.streams[j.group]
	if s == nil {
		s = j.world.Stream(fmt.Sprint("raft/", j.group))
		j.streams[j.group] = s
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
