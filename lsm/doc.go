// Package lsm is an ordered key-value store: bytes to bytes, durable, with
// atomic batches, snapshots and iterators in both directions.
//
// It is a log-structured merge tree. A write goes to a log and to a memtable; full
// memtables are flushed to sorted tables on disk; compaction merges tables level by
// level, so that a read looks at few of them:
//
//	Apply ──► log                            Get, Iterator
//	     └──► memtable (active)                   │ newest first
//	          memtable (sealed) ...               │
//	             │ flush                          │
//	          L0: tables that overlap             │
//	             │ compaction                     │
//	          L6: tables side by side; before it, │
//	          if it is large, L5, L4, ...         ▼
//
// Every operation has a sequence number; a reader has one, too, and sees what is
// not newer. Everything it reads from is immutable or only grows, so readers
// never wait for writers.
//
// Reading order: options.go, db.go; the way of a write: batch.go, commit.go,
// seal.go, flush.go, install.go, compact.go with compact_merge.go, merge.go (what
// may be dropped), expiry.go and compact_range.go (what a caller asks for), stall.go; in bulk:
// table_file.go, ingest.go, hold.go, excise.go; large
// values: value_writer.go, value.go, value_gc.go; the way of a read: state.go,
// get.go, snapshot.go; iterator.go with key_bounds.go (what it is limited to), sources.go (what it reads from), cursor.go
// (its moves), read_ahead.go, run.go (the steps that most moves are), level.go,
// pins.go; the way of a filtered read: facets.go, filtered.go, filtered_table.go,
// filtered_rows.go, filtered_memory.go; then open.go (recovery), obsolete.go,
// checkpoint.go, metrics.go, inspect.go. The parts below: key, memtable, tombstone,
// facet, sstable, iterator, wal, manifest, vlog, compaction.
// docs/lsm.md tells the whole in a few pages.
package lsm
