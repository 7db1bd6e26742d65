// Package replication keeps state machines in step with a replicated log.
//
// A node carries many groups. Each group is one Raft instance
// (go.etcd.io/raft/v3) in front of one state machine; a replicated counter
// would do as well as a slice of a table: what a command means is none of this
// room's business. All groups of a node share one log on disk, which is also
// the write-ahead log of the store that the state machines live in.
//
// The life of a proposal:
//
//  1. Group.Propose asks the store whether it can take a write at all
//     (Store.Admit) and queues the command with the group's worker.
//  2. The worker begins a round: it takes what waits for all of its groups,
//     makes sure that the log has room for it, and hands raft one entry per
//     group, which carries all the group's commands.
//  3. The new entries of all groups go to the log in one write and become
//     durable with one sync (see SyncMode).
//  4. What raft then reports as committed is applied, command by command, and
//     each proposer's future is set.
//
// Workers own their groups: raft's state, the queue and the state machine of
// a group are touched by one task only, so none of it needs a lock.
//
// Reading order: replication.go (the contract), node.go, group.go, worker.go
// (queues and rounds), round.go, entry.go (the bytes of an entry), members.go and
// members_change.go, transfer.go, snapshot.go (members that are far behind), and then
// the sub-package raftlog for what is on disk.
package replication
