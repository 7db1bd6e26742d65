package replication

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// A Node is one process's share of all groups.
type Node struct{ e *env.Env }

// A Group is this node's replica of one group.
type Group struct{ node *Node }

// Open replays the node-wide log and returns a node whose groups wait for
// Start.
func Open(e *env.Env, fs vfs.FS, store Store, o Options) (*Node, error) {
	return nil, ErrStopped
}

// Start creates a group or resumes it.
func (n *Node) Start(id GroupID, sm StateMachine) (*Group, error) { return nil, ErrStopped }

// Remove stops a group and drops its log.
func (n *Node) Remove(id GroupID) error { return ErrStopped }

// Groups returns the ids of all groups in the log, sorted.
func (n *Node) Groups() []GroupID { return nil }

// Err returns why the node no longer accepts proposals.
func (n *Node) Err() error { return ErrStopped }

// Close stops all groups and closes the log.
func (n *Node) Close() error { return nil }

// Propose submits a command.
func (g *Group) Propose(cmd []byte) *env.Future[any] {
	f := env.NewFuture[any](g.node.e)
	f.Set(nil, ErrStopped)
	return f
}

// ReadBarrier makes reads of applied state linearizable.
func (g *Group) ReadBarrier() error { return ErrStopped }
