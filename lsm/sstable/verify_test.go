package sstable

import (
	"bytes"
	"strings"
	"testing"
)

// TestFaultyWriter seals mistakes into a table under correct checksums: Verify
// must name them.
func TestFaultyWriter(t *testing.T) {
	payloadAt := func(r *Reader, kind section) int64 { return r.section(kind).offset + envelopeBytes }
	for _, c := range []struct {
		name    string
		mistake func(b []byte, r *Reader)
		want    string // in the error
	}{
		{"nothing", func(b []byte, r *Reader) {}, ""},
		{"key missing in the filter", func(b []byte, r *Reader) {
			s := r.section(sectionFilter)
			clear(b[s.offset+envelopeBytes+filterHeaderBytes : s.offset+s.size])
		}, "filter rules out user00"},
		{"wrong row number", func(b []byte, r *Reader) { r.index.rows[4]++ }, "block 1 starts at row"},
		{"wrong number of rows", func(b []byte, r *Reader) { r.index.rows[4*r.index.blocks]-- }, "index ends at row"},
		{"separator too small", func(b []byte, r *Reader) {
			copy(r.index.separator(1).User, "a")
		}, "ends in block 1, not 0"},
		{"separator too large", func(b []byte, r *Reader) {
			copy(r.index.separator(1).User, "z")
		}, "is not between"},
		{"wrong last separator", func(b []byte, r *Reader) {
			copy(r.index.separator(r.index.blocks).User, "vessions")
		}, "last separator is vessions"},
		{"wrong head in the index", func(b []byte, r *Reader) {
			slot1 := payloadAt(r, sectionIndex) + indexHeaderBytes + 8 + indexNodeBytes + 8
			copy(b[slot1+5:], "\xff\xff\xff")
		}, "ends in block 0, not 1"},
		{"wrong count of entries", func(b []byte, r *Reader) {
			tag := bytes.Index(b[payloadAt(r, sectionProperties):], []byte{tagEntries, 8})
			b[payloadAt(r, sectionProperties)+int64(tag)+2]++
		}, "properties are"},
		{"entries out of order", func(b []byte, r *Reader) {
			at := bytes.Index(b, []byte("1vuser01")) // suffix and value of user01
			b[at] = '0'
		}, "data block 0 is malformed"},
		{"versions out of order", func(b []byte, r *Reader) {
			var first block
			first.parse(payload(b[:r.index.slots[1]&offsetMask]), 0)
			at := envelopeBytes + first.entries + first.suffixWidth // trailer of user00#100
			clear(b[at : at+first.trailerWidth])                    // now as small as user00#50
		}, "data block 0 is malformed"},
		{"wrong head in a block", func(b []byte, r *Reader) {
			var first block
			first.parse(payload(b[:r.index.slots[1]&offsetMask]), 0)
			b[envelopeBytes+first.slots+4+2]++
		}, "data block 0 is malformed"},
		{"value cut off", func(b []byte, r *Reader) {
			var first block
			first.parse(payload(b[:r.index.slots[1]&offsetMask]), 0)
			b[envelopeBytes+first.slots+4+1] = 0xff // place of entry 1
		}, "data block 0 is malformed"},
		{"unknown codec", func(b []byte, r *Reader) { b[13] = 9 }, "encoded by codec 9"},
		{"wrong kind of block", func(b []byte, r *Reader) { b[12] = byte(sectionIndex) }, "block is index, want data"},
		{"wrong size", func(b []byte, r *Reader) { b[4]++ }, "data block says"},
		{"wrong raw size", func(b []byte, r *Reader) { b[8]++ }, "bytes of payload"},
		{"wrong padding", func(b []byte, r *Reader) { b[14] = 200 }, "data block"},
		{"gap between sections", func(b []byte, r *Reader) {
			b[payloadAt(r, sectionDirectory)+directoryEntryBytes+8]++
		}, "want offset"},
		{"missing section", func(b []byte, r *Reader) {
			at := payloadAt(r, sectionDirectory) + 4*directoryEntryBytes // properties
			b[at] = 77
		}, "index or properties are missing"},
		{"range deletes unsorted", func(b []byte, r *Reader) {
			at := payloadAt(r, sectionRangeDeletes) + rangeDeleteHeaderBytes
			copy(b[at:], "xz")
		}, "range deletes are not sorted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := mustWrite(t, smallContent(), smallOptions()[0])
			sound := mustOpen(t, b)
			c.mistake(b, sound)
			reseal(b, sound)
			r, err := Open(memory(b), testName, Options{})
			if err == nil {
				err = r.Verify()
			}
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Verify = %v", err)
			case c.want != "" && (!isDamage(err) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Verify = %v, want %q", err, c.want)
			}
		})
	}
}

// TestWrongRawSize: a compressed block must decode to the size that it says.
func TestWrongRawSize(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), Options{Number: 7, Compression: S2})
	sound := mustOpen(t, b)
	b[8]++
	reseal(b, sound)
	r := mustOpen(t, b)
	if _, _, _, err := r.Get([]byte("user00"), 100); !isDamage(err) || !strings.Contains(err.Error(), "not decode") {
		t.Errorf("Get = %v", err)
	}
}
