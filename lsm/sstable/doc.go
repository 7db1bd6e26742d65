// Package sstable writes and reads sorted tables: immutable files of internal
// keys and values in key order, the form in which the engine keeps everything
// that has left a memtable.
//
// A table is read in place. Its file is mapped, a lookup walks the index to one
// block of about a page, and the value it returns is a slice of the mapping. What
// a lookup costs is the number of cache lines it must wait for:
//
//	filter   1 line               says no for 99 of 100 absent keys
//	index    about 3, mostly hot  a root, one node, one slot
//	block    2 + the entry        header, slot, entry; all in one page
//
// Nothing from disk is trusted. Each block carries a checksum that also covers
// where it lies and which table it belongs to; it is checked at the first touch
// of the block, and everything decoded from a block is checked against its
// bounds. Damage is reported as *corrupt.Error with file and offset, by Open if
// the footer, directory, index or properties are hit, else by the read that
// touches the damaged block; the rest of the table stays readable.
//
// Reading order: format.go draws the file; slots.go has the search that index
// and blocks share; block.go and index.go; then writer.go, reader.go, iter.go,
// verify.go. docs/formats/sstable.md tells the same to someone who would write a
// reader in another language.
package sstable
