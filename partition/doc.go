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
// Reads do not pass through the log: Get and Page look at applied state, and it
// is the caller's business to know whether this replica is fresh enough. Both, and
// State, can be asked from another node (Answer).
//
// Reading order: schema.go (what a partition knows of its table), keys.go and
// row.go (where and how rows are stored), command.go (what the log carries),
// partition.go (the state machine), apply.go and write.go (evaluation),
// index.go (what a write does to indexes), change.go, entries.go and backfill.go
// (how global indexes follow), read.go and page.go, request.go (what other nodes
// ask), window.go (commands that are repeated), snapshot.go and split.go. The byte formats are also drawn in docs/formats/rows.md,
// docs/formats/commands.md and docs/formats/requests.md.
package partition
