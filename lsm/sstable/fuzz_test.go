package sstable

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// seedBlocks are payloads of sound data blocks.
func seedBlocks(t testing.TB) [][]byte {
	var seeds [][]byte
	for _, o := range smallOptions()[:1] {
		b, _ := mustWrite(t, smallContent(), o)
		r := mustOpen(t, b)
		for j := range r.index.blocks {
			var v view
			if err := r.load(j, &v, ignored); err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, v.data)
		}
	}
	return seeds
}

// FuzzBlock decodes any bytes as a data block: nothing panics, a search stays
// within the block, and what it finds is really there.
func FuzzBlock(f *testing.F) {
	for _, b := range seedBlocks(f) {
		f.Add(b, []byte("user03"), uint64(key.MaxTrailer))
		f.Add(b, []byte("versions"), uint64(key.SeekTrailer(35)))
	}
	f.Add([]byte{}, []byte{}, uint64(0))
	f.Add(make([]byte, blockHeaderBytes), []byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, payload, user []byte, trailer uint64) {
		var b block
		if !b.parse(payload, 0) {
			return
		}
		for i := range b.count {
			b.entry(i)
		}
		i, same, ok := b.seek(user, key.Trailer(trailer))
		if !ok {
			return
		}
		if i < 0 || i > b.count || same && i == b.count {
			t.Fatalf("seek = %d, %v in a block of %d", i, same, b.count)
		}
		if same {
			suffix, _, _, ok := b.entry(i)
			if found := slices.Concat(b.commonPrefix(), suffix); !ok || !bytes.Equal(found, user) {
				t.Fatalf("seek(%q) found %q", user, found)
			}
		}
	})
}

// FuzzIndex decodes any bytes as an index: nothing panics, and a search ends in
// a block that lies within the data.
func FuzzIndex(f *testing.F) {
	for _, c := range []content{smallContent(), {}} {
		b, meta := mustWrite(f, c, smallOptions()[0])
		r := mustOpen(f, b)
		payload, err := r.readSection(r.section(sectionIndex))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload, meta.DataBytes, []byte("user03"), uint64(key.MaxTrailer))
		f.Add(payload, meta.DataBytes, []byte("versions"), uint64(key.SeekTrailer(35)))
	}
	f.Fuzz(func(t *testing.T, payload []byte, dataBytes uint64, user []byte, trailer uint64) {
		x, reason := parseIndex(payload, dataBytes)
		if reason != "" {
			return
		}
		j := x.find(user, key.Trailer(trailer))
		if j < 0 || j > x.blocks {
			t.Fatalf("find = %d of %d", j, x.blocks)
		}
		for j := range x.blocks {
			offset, size := x.extent(j)
			if offset < 0 || size < envelopeBytes || uint64(offset)+uint64(size) > dataBytes {
				t.Fatalf("block %d of %d bytes at %d, data ends at %d", j, size, offset, dataBytes)
			}
			x.separator(j)
			x.row(j)
		}
	})
}

// FuzzFooter decodes any bytes as a footer; one that passes is the one that
// would be written.
func FuzzFooter(f *testing.F) {
	good := footer{version: 1, number: 7, directory: directoryEntry{kind: sectionDirectory, offset: 100, size: 44}}
	f.Add(good.append(nil), uint16(144))
	f.Add(make([]byte, footerBytes), uint16(0))
	f.Add([]byte(strings.Repeat(magic, 8)), uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, offset uint16) {
		if len(b) != footerBytes {
			return
		}
		got, err := parseFooter(b, testName, int64(offset))
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("parseFooter: %v", err)
			}
			return
		}
		if again := got.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("footer %x is written as %x", b, again)
		}
	})
}

// FuzzSections decodes any bytes as each of the small sections; what passes
// survives being written and decoded again.
func FuzzSections(f *testing.F) {
	var p Properties
	p.addEntry([]byte("k"), key.MakeTrailer(3, key.Set), 5, true)
	f.Add(p.append(nil))
	expiring := p
	expiring.Expiry = Expiry{Entries: 1, First: 9, Last: 9, Half: 9}
	f.Add(expiring.append(nil))
	f.Add(append(p.append(nil), 30, 3, 'n', 'e', 'w')) // a property of a later version
	f.Add(appendRangeDeletes(nil, smallContent().deletes))
	f.Add(appendDirectory(nil, []directoryEntry{{kind: sectionData, size: 9}, {kind: 99, offset: 9, size: 1}}))
	f.Add([]byte{6, 0, 0, 0, 0, 0, 0, 0})
	f.Add(append([]byte{6, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'n', 0}, make([]byte, lineBytes)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, reason := parseProperties(b); reason == "" {
			again, reason := parseProperties(p.append(nil))
			if reason != "" || !bytes.Equal(again.append(nil), p.append(nil)) {
				t.Fatalf("properties %v are read again as %v (%s)", p, again, reason)
			}
		}
		if deletes, reason := parseRangeDeletes(b); reason == "" {
			if again := appendRangeDeletes(nil, deletes); !bytes.Equal(again, b) {
				t.Fatalf("range deletes %x are written as %x", b, again)
			}
		}
		if sections, reason := parseDirectory(b, int64(len(b))); reason == "" {
			if again := appendDirectory(nil, sections); !bytes.Equal(again, b) {
				t.Fatalf("directory %x is written as %x", b, again)
			}
		}
		if filter, err := parseFilter(b); err == nil {
			filter.MayContain(uint64(len(b)) << 40)
		}
		if p, err := parsePrefixes(b); err == nil {
			p.filter.MayContain(uint64(len(b)) << 40)
		}
	})
}

// FuzzTable opens any bytes as a table. Few get past the checksums; FuzzSealed
// is for what lies behind them.
func FuzzTable(f *testing.F) {
	c := smallContent()
	for _, o := range smallOptions() {
		b, _ := mustWrite(f, c, o)
		f.Add(b)
		f.Add(b[1:])
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Open(memory(b), testName, Options{})
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("Open: %v", err)
			}
			return
		}
		useTable(r, c)
		_ = r.Verify()
	})
}

// FuzzSealed changes bytes of a sound table and makes all checksums right again,
// as a faulty writer would. Nothing may panic; and if Verify finds the table
// sound, then it is: sorted, and the same by scan in both directions and by Get.
func FuzzSealed(f *testing.F) {
	c := smallContent()
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{40, 0, 1})              // count of the first block
	f.Add(uint8(2), []byte{16, 0, 0xff, 8, 1, 10}) // encoded bytes
	f.Add(uint8(3), []byte{0xa0, 4, 77, 0x14, 5, 1})
	f.Add(uint8(4), []byte{0x60, 5, 1, 0x68, 5, 2})
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		all := smallOptions()
		b, _ := mustWrite(t, c, all[int(which)%len(all)])
		sound := mustOpen(t, b)
		for ; len(edits) >= 3; edits = edits[3:] {
			at := (int(edits[0]) | int(edits[1])<<8) % len(b)
			b[at] = edits[2]
		}
		reseal(b, sound)
		r, err := Open(memory(b), testName, Options{})
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("Open: %v", err)
			}
			return
		}
		useTable(r, c)
		if r.Verify() != nil {
			return
		}
		var read content
		it := r.NewIter(nil, nil)
		for ok := it.First(); ok; ok = it.Next() {
			user, trailer := it.Key()
			k := key.Internal{User: user, Trailer: trailer}.Clone()
			read.entries = append(read.entries, entry{k, bytes.Clone(it.Value())})
		}
		if it.Err() != nil {
			t.Fatalf("a verified table fails: %v", it.Err())
		}
		checkScan(t, r, read)
		for _, e := range read.entries {
			checkGet(t, r, read, e.User, e.Trailer.SeqNum())
		}
	})
}

// reseal corrects the checksum of each block of sound, and of the footer, in b.
// sound reads b itself, so where the blocks lie is taken down first.
func reseal(b []byte, sound *Reader) {
	var places []directoryEntry
	for j := range sound.index.blocks {
		offset, size := sound.index.extent(j)
		places = append(places, directoryEntry{offset: offset, size: int64(size)})
	}
	for _, s := range sound.sections {
		if s.kind != sectionData {
			places = append(places, s)
		}
	}
	at := sound.size - footerBytes
	copy(b[at+8:], little.AppendUint64(nil, sound.number))
	places = append(places, directoryEntry{offset: at, size: footerBytes})
	for _, p := range places {
		block := b[p.offset : p.offset+p.size]
		little.PutUint32(block, checksum(block[4:], sound.number, p.offset))
	}
}
