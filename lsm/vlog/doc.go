// Package vlog keeps large values apart from the tables that sort their keys, so
// that compaction need not copy them ("WiscKey", Lu et al., FAST '16, §3.2).
//
// A value file is written once, from the start, and never changed. Each record is
// a value and the user key it belongs to. The table has, in place of the value,
// a Pointer to the record: file, offset, size. Which records are still wanted,
// only tables know; a file does not.
//
//	table:       a#4,PTR → 000012@0+1051      b#9,SET → small      c#7,PTR → 000012@1051+2080
//	000012.vlog: | a: 1 KiB value | c: 2 KiB value | footer |
//
// Reading order: format.go has the drawings, writer.go, reader.go, verify.go.
// docs/formats/vlog.md has what a reader in another language needs.
package vlog
