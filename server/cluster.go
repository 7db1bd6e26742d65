package server

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// A Cluster makes a server one of the nodes of a cluster.
type Cluster struct {
	// Node is the node's number, which is Transport's Self.
	Node uint64
	// Zone is the node's availability zone, Address where the others reach it.
	Zone, Address string
	// Transport reaches the other nodes. Whoever made it closes it, after the
	// server.
	Transport transport.Transport
	// Founders are the nodes that begin the cluster, the same on each of them and in
	// each of their lives. A node that joined later has none.
	Founders []table.Member
	// Tick is the unit of raft's clock: a heartbeat takes one, an election ten to
	// twenty. Default 100 ms.
	Tick time.Duration
	// LostAfter is how long a node is silent before its replicas are made anew on
	// others. Default 5 minutes.
	LostAfter time.Duration
	// StaleReads has eventually consistent reads go to replicas that do not lead, so
	// that they show replication lag. Default: to the nearest replica.
	StaleReads bool
}

// A Tuning changes the options of the rooms below before they are used. It is for
// simulators and tests, which want small tables and short logs. Each may be nil.
type Tuning struct {
	Store       func(*lsm.Options)
	Replication func(*replication.Options)
	Tables      func(*table.Options)
}

func (t Tuning) store(o lsm.Options) lsm.Options {
	if t.Store != nil {
		t.Store(&o)
	}
	return o
}

func (t Tuning) replication(o replication.Options) replication.Options {
	if t.Replication != nil {
		t.Replication(&o)
	}
	return o
}

func (t Tuning) tables(o table.Options) table.Options {
	if t.Tables != nil {
		t.Tables(&o)
	}
	return o
}

// Rooms are what a server is built on, for simulators and tests, which work beside its
// edge and look into it. They are the server's: nobody else closes them.
type Rooms struct {
	Store  *lsm.DB
	Node   *replication.Node
	Tables *table.Service // of the server's own account and region
}

// Rooms returns the rooms below the edge.
func (s *Server) Rooms() Rooms { return Rooms{s.store, s.node, s.tables} }

// Home returns the caller whose tables are those of Rooms.
func (s *Server) Home() Caller {
	return Caller{Account: s.edge.callers.account, Region: s.edge.region}
}

// join completes the options of the rooms below with what a node of a cluster needs.
func (s *Server) join(e *env.Env, c *Cluster, r *replication.Options, t *table.Options) {
	hooks := &table.Hooks{}
	s.calls = transport.NewCalls(e, c.Transport)
	r.NodeID, r.Transport, r.Tick, r.OnRole = c.Node, c.Transport, c.Tick, hooks.OnRole
	t.Calls, t.Hooks, t.Node, t.Zone, t.Address = s.calls, hooks, c.Node, c.Zone, c.Address
	t.Founders, t.LostAfter, t.StaleReads = c.Founders, c.LostAfter, c.StaleReads
}

// resignPatience bounds how long a node looks for others to lead what it leads.
const resignPatience = 3 * time.Second

// Resign has other nodes lead what this one leads, so that nobody waits for an election
// once it stops. Requests go on. Close does it, too.
func (s *Server) Resign() { s.tables.Resign(resignPatience) }
