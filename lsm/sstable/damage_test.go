package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/cache"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/key"
)

// smallContent fills a table of about 2 KB with all there is: several blocks,
// versions that cross their borders, tombstones, an empty value, range deletes.
func smallContent() content {
	var c content
	for i := range 12 {
		user := fmt.Sprintf("user%02d", i)
		c.entries = append(c.entries, point(user, key.SeqNum(100+i), key.Set, strings.Repeat("v", i)+user))
		if i%3 == 0 {
			c.entries = append(c.entries, point(user, 50, key.Delete, ""))
		}
	}
	for seq := range key.SeqNum(12) {
		c.entries = append(c.entries, point("versions", 40-seq, key.Set, strings.Repeat("w", 30)))
	}
	c.deletes = []RangeDelete{
		{Start: []byte("a"), End: []byte("b"), Seq: 7},
		{Start: []byte("user03"), End: []byte("user07"), Seq: 60},
	}
	return c
}

func smallOptions() []Options {
	var all []Options
	for _, compression := range []Compression{None, S2, Zstd, ZstdDict} {
		for _, bits := range []int{10, -1} {
			all = append(all, Options{
				Number: 7, BlockBytes: 256, Compression: compression, FilterBitsPerKey: bits, trainBytes: 600,
			})
		}
	}
	return append(all, Options{
		Number: 7, BlockBytes: 256, FilterBitsPerKey: -1, Facets: "facets", Split: testSplit, SplitName: "split",
	})
}

// TestEveryFlippedBit flips each bit of a small table in turn. Verify must find
// it, and reads must either be right or report damage.
func TestEveryFlippedBit(t *testing.T) {
	for _, o := range smallOptions() {
		t.Run(optionsName(o), func(t *testing.T) {
			c := smallContent()
			b, meta := mustWrite(t, c, o)
			if r := mustOpen(t, b); r.Verify() != nil || meta.DataBlocks < 4 ||
				(r.section(sectionDictionary).size > 0) != (o.Compression == ZstdDict) {
				t.Fatalf("the sound table is not as wanted: %v", meta)
			}
			rejected := 0
			stride := 1
			if raceEnabled { // one goroutine: there is nothing to race with
				stride = 17
			}
			for bit := 0; bit < 8*len(b); bit += stride {
				b[bit/8] ^= 1 << (bit % 8)
				if !checkFlipped(t, b, c, bit) {
					rejected++
				}
				b[bit/8] ^= 1 << (bit % 8)
			}
			t.Logf("%d bytes, %d blocks; %d of %d flips make Open fail", len(b), meta.DataBlocks, rejected, 8*len(b))
		})
	}
}

// TestEveryFlippedBitOfAFile is the same for files that are not mapped, of which blocks are
// cached.
func TestEveryFlippedBitOfAFile(t *testing.T) {
	for _, o := range smallOptions() {
		c := smallContent()
		b, _ := mustWrite(t, c, o)
		pool := NewPool(cache.New(1 << 20))
		for bit := 0; bit < 8*len(b); bit += 7 { // comes to each bit of a byte in turn
			b[bit/8] ^= 1 << (bit % 8)
			r, err := Open(unmapped(t, b), testName, Options{Pool: pool})
			if checkDamaged(t, r, err, c, bit) {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// checkFlipped reports whether the damaged table could be opened.
func checkFlipped(t *testing.T, b []byte, c content, bit int) (opened bool) {
	r, err := Open(memory(b), testName, Options{})
	return checkDamaged(t, r, err, c, bit)
}

func checkDamaged(t *testing.T, r *Reader, err error, c content, bit int) (opened bool) {
	if err != nil {
		if !isDamage(err) {
			t.Fatalf("bit %d: Open: %v", bit, err)
		}
		return false
	}
	damaged := false
	note := func(err error) {
		if err != nil && !isDamage(err) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		damaged = damaged || err != nil
	}
	for _, e := range c.entries {
		value, trailer, found, err := r.Get(e.User, e.Trailer.SeqNum())
		note(err)
		if err == nil && (!found || trailer != e.Trailer || !bytes.Equal(value, e.value)) {
			t.Fatalf("bit %d: Get(%v) = %v %q %v", bit, e.Internal, trailer, value, found)
		}
	}
	note(scanDamaged(t, r, c, bit))
	note(selectDamaged(t, r, c, bit))
	if err := r.Verify(); !isDamage(err) {
		t.Fatalf("bit %d: Verify = %v; reads noticed: %v", bit, err, damaged)
	}
	return true
}

// scanDamaged reads forward as far as it can, then backward from the end.
func scanDamaged(t *testing.T, r *Reader, c content, bit int) error {
	it := r.NewIter(nil, nil)
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		checkEntry(t, it, c.entries[i])
		i++
	}
	if it.Err() == nil && i != len(c.entries) {
		t.Fatalf("bit %d: scan ended after %d entries without error", bit, i)
	}
	first := it.Err()
	i = len(c.entries)
	for ok := it.Last(); ok; ok = it.Prev() {
		i--
		checkEntry(t, it, c.entries[i])
	}
	if it.Err() == nil && i != 0 {
		t.Fatalf("bit %d: backward scan ended %d entries early without error", bit, i)
	}
	return errors.Join(first, it.Err())
}

// TestDamageIsLocal: a damaged block fails the reads that touch it, with its
// offset, and only those.
func TestDamageIsLocal(t *testing.T) {
	c := smallContent()
	b, _ := mustWrite(t, c, smallOptions()[0])
	sound := mustOpen(t, b)
	offset, size := sound.index.extent(1)
	b[int(offset)+size/2] ^= 4
	r := mustOpen(t, b)
	failed := 0
	for _, e := range c.entries {
		j := sound.index.find(e.User, key.SeekTrailer(e.Trailer.SeqNum()))
		_, _, found, err := r.Get(e.User, e.Trailer.SeqNum())
		if j != 1 {
			if err != nil || !found {
				t.Errorf("Get(%v) from block %d = %v, %v", e.Internal, j, found, err)
			}
			continue
		}
		failed++
		var damage *corrupt.Error
		if !errors.As(err, &damage) || damage.Offset != offset || damage.File != testName {
			t.Errorf("Get(%v) = %v, want damage at %d", e.Internal, err, offset)
		}
	}
	if failed == 0 {
		t.Error("no read touched the damaged block")
	}
	it := r.NewIter(nil, nil)
	if it.First(); !it.SeekGE([]byte("versions"), 30) || it.Err() != nil {
		t.Errorf("seek behind the damage: %v", it.Err())
	}
}

// TestBoundsSpareDamage: an iterator does not touch blocks beyond its bounds.
func TestBoundsSpareDamage(t *testing.T) {
	c := smallContent()
	for _, damaged := range []int{0, 1} {
		b, _ := mustWrite(t, c, smallOptions()[0])
		sound := mustOpen(t, b)
		offset, _ := sound.index.extent(damaged)
		b[offset+30] ^= 1
		r := mustOpen(t, b)
		n := 0
		var it *Iter
		if damaged == 0 { // backward within block 1
			it = r.NewIter(c.entries[sound.index.row(1)+2].User, nil)
			for ok := it.Last(); ok; ok = it.Prev() {
				n++
			}
		} else { // forward within block 0
			it = r.NewIter(nil, c.entries[2].User)
			for ok := it.First(); ok; ok = it.Next() {
				n++
			}
		}
		if n == 0 || it.Err() != nil {
			t.Errorf("block %d damaged: %d entries beside it, %v", damaged, n, it.Err())
		}
	}
}

// TestCheckedOnce: the checksum of a block read in place is checked at its first
// touch and then no more.
func TestCheckedOnce(t *testing.T) {
	c := smallContent()
	b, _ := mustWrite(t, c, smallOptions()[0])
	r := mustOpen(t, b)
	user := c.entries[0].User
	if _, _, found, err := r.Get(user, key.MaxSeqNum); !found || err != nil {
		t.Fatal(found, err)
	}
	b[0] ^= 1 // the checksum itself
	if _, _, found, err := r.Get(user, key.MaxSeqNum); !found || err != nil {
		t.Errorf("second Get = %v, %v", found, err)
	}
	if _, _, _, err := mustOpen(t, b).Get(user, key.MaxSeqNum); !isDamage(err) {
		t.Errorf("Get from a fresh Reader = %v", err)
	}
}

// TestVerifyAfterUse: a bit that rots after its block was checked is found.
func TestVerifyAfterUse(t *testing.T) {
	c := smallContent()
	for _, o := range smallOptions() {
		b, _ := mustWrite(t, c, o)
		r := mustOpen(t, b)
		checkScan(t, r, c)
		r.Get(c.entries[0].User, key.MaxSeqNum) // loads the filter
		for i := range b {
			b[i] ^= 0x10
			if err := r.Verify(); !isDamage(err) {
				t.Fatalf("%s: byte %d rotten: Verify = %v", optionsName(o), i, err)
			}
			b[i] ^= 0x10
		}
	}
}

// TestRotAfterUse: whatever happens to a block after it was checked, reads do
// not panic. They may return wrong values; that is what Verify is for.
func TestRotAfterUse(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	c := smallContent()
	for _, o := range smallOptions() {
		b, _ := mustWrite(t, c, o)
		pool := new(Pool)
		rounds := 3000
		if o.Compression >= Zstd {
			rounds = 300 // which take as long
		}
		if raceEnabled {
			rounds /= 10
		}
		for range rounds {
			r, err := Open(memory(b), testName, Options{Pool: pool})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.entries {
				r.Get(e.User, key.MaxSeqNum)
			}
			rotten := slices.Clone(b)
			r.m = memory(rotten)
			for range 1 + rng.IntN(20) {
				rotten[rng.IntN(len(b))] = byte(rng.Uint32())
			}
			useTable(r, c)
		}
	}
}

// useTable reads all it can and ignores what comes out.
func useTable(r *Reader, c content) {
	_, _ = selectRows(r, facet.Or(facet.Has([]byte("longer")), facet.Not(facet.Has([]byte("w")))))
	var rows RowIter
	rows.Init(r)
	for row := range r.Rows() {
		_, _, _ = rows.Read([]uint32{row, row + 1, row + 9}, nil, nil)
		if items, _, err := rows.Read([]uint32{row}, nil, nil); err == nil {
			_, _ = rows.Seek(items[0].User, items[0].Trailer)
		}
		_ = rows.Row(row)
	}

	for _, e := range c.entries {
		_, _, _, _ = r.Get(e.User, key.MaxSeqNum)
		_, _, _, _ = r.Get(append(e.User, 'x'), 30)
	}
	it := r.NewIter([]byte("user02"), []byte("versionsx"))
	for ok := it.First(); ok; ok = it.Next() {
	}
	for ok := it.Last(); ok; ok = it.Prev() {
	}
	for _, e := range c.entries {
		it.SeekGE(e.User, e.Trailer.SeqNum())
		it.SeekLT(e.User)
	}
}

// TestMisplacedBlocks: blocks that are sound in themselves but lie in the wrong
// place, or come from another table, are found.
func TestMisplacedBlocks(t *testing.T) {
	o := Options{Number: 7, BlockBytes: 256, FilterBitsPerKey: -1}
	var c content
	for i := range 20 { // entries of one size: blocks of one size
		c.entries = append(c.entries, point(fmt.Sprintf("key%02d", i), 1, key.Set, strings.Repeat("v", 200)))
	}
	b, _ := mustWrite(t, c, o)
	sound := mustOpen(t, b)
	at0, n0 := sound.index.extent(0)
	at1, n1 := sound.index.extent(1)
	if n0 != n1 {
		t.Fatalf("blocks of %d and %d bytes", n0, n1)
	}
	swapped := slices.Clone(b)
	copy(swapped[at0:], b[at1:at1+int64(n1)])
	copy(swapped[at1:], b[at0:at0+int64(n0)])
	other := o
	other.Number = 8
	foreign, _ := mustWrite(t, c, other)
	stale := slices.Clone(b)
	copy(stale[at0:], foreign[at0:at0+int64(n0)])
	for name, damaged := range map[string][]byte{"swapped": swapped, "of another table": stale} {
		r := mustOpen(t, damaged)
		if _, _, _, err := r.Get([]byte("key00"), key.MaxSeqNum); !isDamage(err) {
			t.Errorf("block %s: Get = %v", name, err)
		}
		if err := r.Verify(); !isDamage(err) {
			t.Errorf("block %s: Verify = %v", name, err)
		}
	}
}

// TestWrongTable: a sound table in the place of another is told by its number.
func TestWrongTable(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), Options{Number: 7})
	if _, err := Open(memory(b), testName, Options{Number: 8}); !isDamage(err) {
		t.Errorf("Open = %v", err)
	}
	if _, err := Open(memory(b), testName, Options{Number: 7}); err != nil {
		t.Errorf("Open = %v", err)
	}
}

// TestTruncated: a file that lost its end, at whatever byte, does not open; nor
// does one that grew.
func TestTruncated(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), smallOptions()[0])
	for n := range len(b) {
		if _, err := Open(memory(b[:n]), testName, Options{}); !isDamage(err) {
			t.Fatalf("%d of %d bytes: Open = %v", n, len(b), err)
		}
	}
	longer := slices.Concat(b[:len(b)-footerBytes], make([]byte, 8), b[len(b)-footerBytes:])
	if _, err := Open(memory(longer), testName, Options{}); !isDamage(err) {
		t.Errorf("longer file: Open = %v", err)
	}
	for _, garbage := range []string{"", "no table", strings.Repeat("x", 5000), strings.Repeat("\x00", 4096)} {
		if _, err := Open(memory(garbage), testName, Options{}); !isDamage(err) {
			t.Errorf("%q: Open = %v", garbage, err)
		}
	}
}

// TestTruncatedUnderMapping: pages that vanish under a mapping are errors of the
// reads that need them, not the end of the process.
func TestTruncatedUnderMapping(t *testing.T) {
	dir := t.TempDir()
	fs, err := vfs.NewOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(13, 14))
	c := randomContent(rng, shapes[0], 2000)
	if _, err := writeTable(fs, c, Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open(testName)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := f.Map()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	r, err := Open(m, testName, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, testName), 4096); err != nil {
		t.Skipf("this system does not truncate mapped files: %v", err)
	}
	if err := r.Verify(); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Verify = %v, want %v", err, vfs.ErrIO)
	}
	if _, err := Open(m, testName, Options{}); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Open = %v, want %v", err, vfs.ErrIO)
	}
	last := c.entries[len(c.entries)-1]
	err = vfs.Guard(func() error {
		_, _, _, err := r.Get(last.User, key.MaxSeqNum)
		return err
	})
	if !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Get = %v, want %v", err, vfs.ErrIO)
	}
}

// TestUnreadableBlocks: a read that the disk refuses fails with the disk's
// error, which is not damage, and succeeds when the disk has recovered.
func TestUnreadableBlocks(t *testing.T) {
	c := smallContent()
	for _, o := range smallOptions() {
		views := 0
		for failAt := 1; ; failAt++ {
			n, failed := readWithFault(t, c, o, failAt)
			if views = max(views, n); failed == 0 {
				break
			}
		}
		if views < 10 {
			t.Errorf("%s: only %d views", optionsName(o), views)
		}
	}
}

// readWithFault opens and reads a table; the failAt-th view of it fails.
func readWithFault(t *testing.T, c content, o Options, failAt int) (views, failed int) {
	t.Helper()
	mem := vfs.NewMem()
	if _, err := writeTable(mem, c, o); err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewInject(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpView {
			if views++; views == failAt {
				return vfs.ErrIO
			}
		}
		return nil
	})
	f, err := fs.Open(testName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.Map()
	if err != nil {
		t.Fatal(err)
	}
	var r *Reader
	tryTwice(t, &failed, func() (err error) {
		r, err = Open(m, testName, Options{})
		return err
	})
	for _, e := range c.entries {
		tryTwice(t, &failed, func() error {
			value, _, found, err := r.Get(e.User, e.Trailer.SeqNum())
			if err == nil && (!found || !bytes.Equal(value, e.value)) {
				t.Fatalf("Get(%v) = %q, %v", e.Internal, value, found)
			}
			return err
		})
	}
	tryTwice(t, &failed, func() error { return scanDamaged(t, r, c, 0) })
	tryTwice(t, &failed, r.Verify)
	return views, failed
}

func tryTwice(t *testing.T, failed *int, read func() error) {
	t.Helper()
	err := read()
	if err == nil {
		return
	}
	if *failed++; !errors.Is(err, vfs.ErrIO) || isDamage(err) || *failed > 1 {
		t.Fatalf("read = %v", err)
	}
	if err := read(); err != nil {
		t.Fatalf("second attempt: %v", err)
	}
}
