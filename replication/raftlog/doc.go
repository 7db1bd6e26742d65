// Package raftlog is the log on disk that all Raft groups of a node share.
//
// Entries and hard states of all groups go, in the order in which they were
// written, into the numbered segments of one lsm/wal log, so that a round of
// any number of groups costs one write and one sync. Every segment begins with
// a checkpoint of all groups: whatever a replay needs to know of earlier
// segments, which may therefore be removed once the state machines no longer
// need the entries in them.
//
// A Storage is one group's view: the raft.Storage that its RawNode reads. It
// holds the entries that have not been applied yet in memory, and of the
// others only where they are on disk.
//
// Reading order: record.go (bytes on disk), log.go and replay.go (opening),
// write.go (Batch, Reserve, Write), group.go (Create, Remove, Recover), storage.go
// and span.go (one group's view), segments.go (when a segment may go).
package raftlog
