// Package manifest records which tables make up the database.
//
// A Version is the set of tables, level by level, at one moment; it is never
// changed. An Edit leads from one version to the next: tables that a flush or
// a compaction added and removed. Edits are kept in a log (package wal); a small
// file CURRENT names the segment of it to begin with:
//
//	CURRENT ──► manifest-000003.log: snapshot, edit, edit, edit
//
// Now and then a new segment is begun with a snapshot, an edit that stands for
// all before it; CURRENT is switched to it by a rename, and older segments go.
// A crash at any point leaves either the old state or the new one.
//
// Reading order: version.go, edit.go (with the format), manifest.go (the log),
// current.go, span.go.
package manifest
