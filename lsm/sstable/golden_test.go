package sstable

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/statordb/stator/lsm/corrupt"
)

var writeGolden = flag.Bool("write-golden", false, "write golden tables that are missing")

// TestGolden reads tables of each released format version. They are never
// written anew: what a released version wrote must stay readable.
func TestGolden(t *testing.T) {
	c := smallContent()
	for name, o := range map[string]Options{
		"v1-none.sst":      {Number: 7, BlockBytes: 256},
		"v1-s2.sst":        {Number: 7, BlockBytes: 256, Compression: S2, FilterBitsPerKey: -1},
		"v2-s2.sst":        {Number: 7, BlockBytes: 256, Compression: S2},
		"v2-zstd.sst":      {Number: 7, BlockBytes: 256, Compression: Zstd},
		"v2-zstd-dict.sst": {Number: 7, BlockBytes: 256, Compression: ZstdDict, trainBytes: 600},
		"v1-bitmaps.sst":   {Number: 7, BlockBytes: 256, Facets: "facets"},
		"v1-prefixes.sst":  {Number: 7, BlockBytes: 256, Split: testSplit, SplitName: "split"},
	} {
		path := filepath.Join("testdata", name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && *writeGolden {
			b, _ = mustWrite(t, c, o)
			err = os.WriteFile(path, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, b)
		if err := r.Verify(); err != nil {
			t.Errorf("%s: Verify: %v", name, err)
		}
		if err := r.VerifyWith(Functions{Facets: askTest, FacetsName: "facets"}); err != nil || r.BitmapBytes() > 0 != (o.Facets != "") {
			t.Errorf("%s: VerifyWith: %v", name, err)
		}
		if f, err := r.PrefixFilter("split"); err != nil || (f != nil) != (o.Split != nil) {
			t.Errorf("%s: PrefixFilter = %v, %v", name, f, err)
		}
		if err := r.VerifyWith(Functions{Split: testSplit, SplitName: "split"}); err != nil {
			t.Errorf("%s: VerifyWith: %v", name, err)
		}
		checkScan(t, r, c)
		for _, e := range c.entries {
			checkGet(t, r, c, e.User, e.Trailer.SeqNum())
		}
		if dict := r.section(sectionDictionary).size > 0; dict != (o.Compression == ZstdDict) {
			t.Errorf("%s: dictionary %v", name, dict)
		}
		if got := r.Properties(); got.Entries != uint64(len(c.entries)) || len(r.RangeDeletes()) != len(c.deletes) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestLaterVersion: a later version is refused by name, not as damage that
// nobody can explain.
func TestLaterVersion(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), Options{Number: 7})
	at := len(b) - footerBytes
	b[at+4] = 3
	little.PutUint32(b[at:], checksum(b[at+4:], 7, int64(at)))
	_, err := Open(memory(b), testName, Options{})
	var damage *corrupt.Error
	if !errors.As(err, &damage) || damage.Reason != "format version 3, this program reads 1 to 2" {
		t.Errorf("Open = %v", err)
	}
}

// TestLaterSections: sections and properties of kinds that this version does not
// know are passed over, but their checksums are verified.
func TestLaterSections(t *testing.T) {
	c := smallContent()
	b, _ := mustWrite(t, c, Options{Number: 7})
	sound := mustOpen(t, b)
	sections := sound.sections[:len(sound.sections)-1]
	end := sound.section(sectionDirectory).offset
	b = b[:end]
	b = appendBlock(b, 200, []byte("something new"))
	sections = append(sections, directoryEntry{kind: 200, offset: end, size: int64(len(b)) - end})
	at := int64(len(b))
	b = appendBlock(b, sectionDirectory, appendDirectory(nil, sections))
	directory := directoryEntry{kind: sectionDirectory, offset: at, size: int64(len(b)) - at}
	b = footer{version: 1, number: 7, directory: directory}.append(b)

	r := mustOpen(t, b)
	if err := r.Verify(); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	checkScan(t, r, c)
	b[end+20] ^= 1
	if err := mustOpen(t, b).Verify(); !isDamage(err) {
		t.Errorf("Verify of a damaged new section = %v", err)
	}
}

// appendBlock appends a block of table 7 to the file b.
func appendBlock(b []byte, kind section, payload []byte) []byte {
	start := len(b)
	b = append(append(b, make([]byte, envelopeBytes)...), payload...)
	seal(b[start:], envelope{rawBytes: len(payload), kind: kind}, 7, int64(start))
	return b
}

func TestLaterProperties(t *testing.T) {
	p := Properties{Number: 7, Entries: 3}
	known := p.append(nil)
	later := append([]byte{0x0e, 2, 'h', 'i'}, known...) // not in order of tags
	if _, reason := parseProperties(later); reason == "" {
		t.Error("properties out of order were accepted")
	}
	got, reason := parseProperties(append(known, 0x1e, 2, 'h', 'i'))
	if reason != "" || got.Entries != 3 {
		t.Errorf("got %v, %s", got, reason)
	}
	for n := range known {
		if _, reason := parseProperties(known[:n]); reason == "" {
			t.Errorf("%d of %d bytes were accepted", n, len(known))
		}
	}
}
