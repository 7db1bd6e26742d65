package sstable

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/lsm/corrupt"
)

// The payload of the directory lists all sections but itself, in the order of
// the file and without gaps:
//
//	kind 1B | zero 7B | offset 8B | size 8B
//
// Section data is all data blocks; every other section is one block.
const directoryEntryBytes = 24

type directoryEntry struct {
	kind   section
	offset int64
	size   int64
}

func appendDirectory(dst []byte, sections []directoryEntry) []byte {
	for _, s := range sections {
		dst = little.AppendUint64(dst, uint64(s.kind))
		dst = little.AppendUint64(dst, uint64(s.offset))
		dst = little.AppendUint64(dst, uint64(s.size))
	}
	return dst
}

// parseDirectory decodes payload, whose sections must fill the file from its
// start up to end, each kind once; reason says why it cannot.
func parseDirectory(payload []byte, end int64) (sections []directoryEntry, reason string) {
	if len(payload)%directoryEntryBytes != 0 {
		return nil, fmt.Sprintf("directory has %d bytes", len(payload))
	}
	at := int64(0)
	for ; len(payload) > 0; payload = payload[directoryEntryBytes:] {
		s := directoryEntry{
			kind:   section(payload[0]),
			offset: int64(little.Uint64(payload[8:])),
			size:   int64(little.Uint64(payload[16:])),
		}
		if s.offset != at || s.size < 0 || s.size > end-at || little.Uint64(payload)>>8 != 0 {
			return nil, fmt.Sprintf("section %v of %d bytes at %d, want offset %d", s.kind, s.size, s.offset, at)
		}
		if s.kind != sectionData && s.size > maxBlockBytes {
			return nil, fmt.Sprintf("section %v of %d bytes", s.kind, s.size)
		}
		if slices.ContainsFunc(sections, func(o directoryEntry) bool { return o.kind == s.kind }) {
			return nil, fmt.Sprintf("two sections %v", s.kind)
		}
		at += s.size
		sections = append(sections, s)
	}
	if at != end {
		return nil, fmt.Sprintf("sections end at %d, directory starts at %d", at, end)
	}
	return sections, ""
}

// A footer is the decoded footer; see format.go.
type footer struct {
	version   uint32
	number    uint64
	directory directoryEntry
}

// append appends the footer of a file that is complete but for it.
func (f footer) append(dst []byte) []byte {
	start := len(dst)
	offset := f.directory.offset + f.directory.size
	dst = append(dst, make([]byte, footerBytes)...)
	b := dst[start:]
	little.PutUint32(b[4:], f.version)
	little.PutUint64(b[8:], f.number)
	little.PutUint64(b[16:], uint64(offset+footerBytes))
	little.PutUint64(b[24:], uint64(f.directory.offset))
	little.PutUint32(b[32:], uint32(f.directory.size))
	copy(b[56:], magic)
	little.PutUint32(b, checksum(b[4:], f.number, offset))
	return dst
}

// parseFooter decodes the footer b of the file called name, which lies at
// offset. The magic comes first: without it this is no table at all.
func parseFooter(b []byte, name string, offset int64) (footer, error) {
	fail := func(format string, args ...any) (footer, error) {
		return footer{}, corrupt.New(name, offset, format, args...)
	}
	if string(b[56:]) != magic {
		return fail("no table: magic is %q", b[56:])
	}
	f := footer{version: little.Uint32(b[4:]), number: little.Uint64(b[8:])}
	if stored, want := little.Uint32(b), checksum(b[4:], f.number, offset); stored != want {
		return fail("checksum of footer is %08x, want %08x", stored, want)
	}
	if f.version < 1 || f.version > maxVersion {
		return fail("format version %d, this program reads 1 to %d", f.version, maxVersion)
	}
	if size := little.Uint64(b[16:]); size != uint64(offset)+footerBytes {
		return fail("file has %d bytes, footer says %d", offset+footerBytes, size)
	}
	at, size := little.Uint64(b[24:]), uint64(little.Uint32(b[32:]))
	if at > uint64(offset) || at+size != uint64(offset) {
		return fail("directory of %d bytes at %d does not end at the footer", size, at)
	}
	for _, c := range b[36:56] {
		if c != 0 {
			return fail("unused bytes of the footer are not zero")
		}
	}
	f.directory = directoryEntry{kind: sectionDirectory, offset: int64(at), size: int64(size)}
	return f, nil
}
