// Package partition is one slice of a table: the rows whose partition-key hash
// lies in one range. Commands go in, state comes out.
//
// A Partition is the state machine of one replication group. Apply takes the
// commands of a committed log entry in order, evaluates conditions and updates
// against the rows as they are at that point of the log, and writes rows,
// counters and the applied index in one batch of the node's store. The log
// order is the serialisation: there are no locks on items, and the same log
// gives the same rows and the same answers on every replica.
//
// Reads do not pass through the log: Get and Rows look at applied state, and it
// is the caller's business to know whether this replica is fresh enough.
//
// Reading order: schema.go (what a partition knows of its table), keys.go and
// row.go (where and how rows are stored), command.go (what the log carries),
// partition.go (the state machine), apply.go and write.go (evaluation),
// index.go (what a write does to indexes), change.go, entries.go and backfill.go
// (how global indexes follow), read.go. The byte formats are also drawn in
// docs/formats/rows.md and docs/formats/commands.md.
package partition
