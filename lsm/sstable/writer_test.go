package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// TestFailingFile fails each call of the writer in turn, once. The error must
// come out, and the writer must not go on as if nothing had happened.
func TestFailingFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	c := randomContent(rng, shapes[0], 32_000) // several chunks
	c.deletes = smallContent().deletes
	boom := errors.New("boom")
	calls := map[vfs.OpKind]int{}
	for failAt := 1; ; failAt++ {
		n := 0
		fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate || op.Kind == vfs.OpClose {
				return nil
			}
			if n++; n == failAt {
				calls[op.Kind]++
				return boom
			}
			return nil
		})
		f, err := fs.Create(testName)
		if err != nil {
			t.Fatal(err)
		}
		w := NewWriter(f, Options{})
		if err = addAll(w, c); err == nil {
			_, err = w.Finish()
		}
		if n < failAt {
			if err != nil {
				t.Fatalf("without a fault: %v", err)
			}
			break
		}
		if !errors.Is(err, boom) {
			t.Fatalf("call %d failed, the writer says %v", failAt, err)
		}
		if _, err := w.Finish(); !errors.Is(err, boom) {
			t.Fatalf("call %d failed, a second Finish says %v", failAt, err)
		}
		if err := w.Add([]byte("\xff\xff"), 1, nil); !errors.Is(err, boom) {
			t.Fatalf("call %d failed, a further Add says %v", failAt, err)
		}
		if err := w.AddRangeDelete([]byte("a"), []byte("b"), 1); !errors.Is(err, boom) {
			t.Fatalf("call %d failed, a further AddRangeDelete says %v", failAt, err)
		}
	}
	if calls[vfs.OpWrite] < 3 || calls[vfs.OpSync] != 1 || len(calls) != 2 {
		t.Errorf("calls that failed: %v, want several writes and one sync", calls)
	}
}

// TestSyncIsLast: when Finish returns, every byte has been synced.
func TestSyncIsLast(t *testing.T) {
	var last vfs.OpKind
	fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		last = op.Kind
		return nil
	})
	f, _ := fs.Create(testName)
	if _, err := fill(f, smallContent(), Options{}); err != nil || last != vfs.OpSync {
		t.Errorf("Finish = %v after a %s", err, last)
	}
}

func TestRefusedEntries(t *testing.T) {
	add := func(w *Writer, e entry) error { return w.Add(e.User, e.Trailer, e.value) }
	for _, c := range []struct {
		name  string
		entry entry
	}{
		{"the same again", point("m", 5, key.Set, "")},
		{"a newer version", point("m", 6, key.Set, "")},
		{"a lesser key", point("l", 1, key.Set, "")},
		{"a key too long", point(strings.Repeat("z", MaxKeyBytes+1), 1, key.Set, "")},
	} {
		w := NewWriter(sink{}, Options{})
		if err := add(w, point("m", 5, key.Set, "v")); err != nil {
			t.Fatal(err)
		}
		if err := add(w, c.entry); err == nil {
			t.Errorf("%s was accepted", c.name)
		}
		if err := add(w, point("m", 4, key.Set, "v")); err != nil {
			t.Errorf("after a refusal: %v", err)
		}
	}
	w := NewWriter(sink{}, Options{})
	if err := w.Add([]byte("k"), 1, make([]byte, MaxValueBytes+1)); err == nil {
		t.Error("a value too long was accepted")
	}
	if err := w.AddRangeDelete([]byte("a"), bytes.Repeat([]byte("z"), MaxKeyBytes+1), 1); err == nil {
		t.Error("a range delete with a key too long was accepted")
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := w.Add([]byte("k"), 1, nil); err == nil {
		t.Error("Add after Finish succeeded")
	}
}

// TestProperties counts a table by hand.
func TestProperties(t *testing.T) {
	c := content{
		entries: []entry{
			point("b", 9, key.Set, "12345"),
			point("b", 3, key.Delete, ""),
			point("cc", 4, key.Set, "678"),
		},
		deletes: []RangeDelete{
			{Start: []byte("c"), End: []byte("x"), Seq: 12},
			{Start: []byte("a"), End: []byte("c"), Seq: 2},
		},
	}
	b, meta := mustWrite(t, c, Options{Number: 42})
	r := mustOpen(t, b)
	got := r.Properties()
	if got.String() != meta.Properties.String() {
		t.Errorf("stored %v, Finish says %v", got, meta.Properties)
	}
	want := "table 42: [a#2,RANGEDEL, x#max] 3 entries, 1 deletes, 2 range deletes, seq 2-12, 1 blocks"
	if got.String() != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got.UserKeys != 2 || got.KeyBytes != 1+1+2+1+1 || got.ValueBytes != 5+3+1+1 {
		t.Errorf("got %d user keys, %d key bytes, %d value bytes", got.UserKeys, got.KeyBytes, got.ValueBytes)
	}
	if sum := got.DataBytes + got.FilterBytes + got.IndexBytes; sum == 0 || sum >= meta.Size {
		t.Errorf("sections of %d, %d and %d bytes in a file of %d",
			got.DataBytes, got.FilterBytes, got.IndexBytes, meta.Size)
	}
	deletes := fmt.Sprint(r.RangeDeletes())
	if want := "[[a, c)#2 [c, x)#12]"; deletes != want {
		t.Errorf("range deletes %v, want %v", deletes, want)
	}
}

// TestBounds: what bounds a table when there are only points, only range
// deletes, or one reaches beyond the other.
func TestBounds(t *testing.T) {
	points := []entry{point("f", 5, key.Set, ""), point("p", 5, key.Set, "")}
	for _, c := range []struct {
		content content
		want    string
	}{
		{content{entries: points}, "f#5,SET p#5,SET"},
		{content{entries: points, deletes: []RangeDelete{{[]byte("g"), []byte("h"), 1}}}, "f#5,SET p#5,SET"},
		{content{entries: points, deletes: []RangeDelete{{[]byte("a"), []byte("z"), 1}}}, "a#1,RANGEDEL z#max"},
		{content{entries: points, deletes: []RangeDelete{{[]byte("f"), []byte("p"), 9}}}, "f#9,RANGEDEL p#5,SET"},
		{content{deletes: []RangeDelete{{[]byte("c"), []byte("d"), 3}}}, "c#3,RANGEDEL d#max"},
		{content{deletes: []RangeDelete{{[]byte("d"), []byte("d"), 3}}}, "#0,DEL #0,DEL"}, // empty
		{content{}, "#0,DEL #0,DEL"},
	} {
		r := build(t, c.content, Options{})
		p := r.Properties()
		if got := p.Smallest.String() + " " + p.Largest.String(); got != c.want {
			t.Errorf("%v: bounds %s, want %s", c.content, got, c.want)
		}
		checkScan(t, r, c.content)
		checkGet(t, r, c.content, []byte("f"), 5)
		checkGet(t, r, c.content, []byte("g"), 5)
	}
}

// TestLargeValues: a value larger than a block has one of its own, and its
// neighbours are found all the same.
func TestLargeValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	for _, compression := range []Compression{None, S2, Zstd, ZstdDict} {
		var c content
		for i := range 60 {
			size := rng.IntN(300)
			if i%5 == 0 {
				size = 1 << (10 + i%11)
			}
			if i == 33 {
				size = 3 << 20
			}
			value := make([]byte, size)
			for j := range value[:size/2] {
				value[j] = byte(rng.Uint32())
			}
			c.entries = append(c.entries, entry{point(fmt.Sprintf("k%03d", i), 1, key.Set, "").Internal, value})
		}
		r := build(t, c, Options{Compression: compression, BlockBytes: MaxBlockBytes * 2})
		checkScan(t, r, c)
		for _, e := range c.entries {
			checkGet(t, r, c, e.User, 1)
		}
	}
}

// TestLargestKeys: keys of the largest size, alike to the last byte.
func TestLargestKeys(t *testing.T) {
	var c content
	for i := range 5 {
		user := strings.Repeat("k", MaxKeyBytes-1) + string(rune('a'+i))
		c.entries = append(c.entries, point(user, 9, key.Set, "v"), point(user, 8, key.Delete, ""))
	}
	for _, o := range allOptions() {
		r := build(t, c, o)
		checkScan(t, r, c)
		for _, e := range c.entries {
			checkGet(t, r, c, e.User, e.Trailer.SeqNum())
		}
	}
}

// TestManyVersions: versions of one user key that fill many blocks, between
// others. A reader at any sequence number finds the right one.
func TestManyVersions(t *testing.T) {
	var c content
	c.entries = append(c.entries, point("a", 1, key.Set, "first"))
	for seq := key.SeqNum(2000); seq > 0; seq-- {
		c.entries = append(c.entries, point("hot", 2*seq, key.Set, fmt.Sprint(seq)))
	}
	c.entries = append(c.entries, point("hotter", 1, key.Set, "last"))
	for _, o := range allOptions() {
		r := build(t, c, o)
		for seq := range key.SeqNum(400) {
			checkGet(t, r, c, []byte("hot"), 10*seq+1)
			checkGet(t, r, c, []byte("hot"), 10*seq)
		}
		checkGet(t, r, c, []byte("a"), key.MaxSeqNum)
		checkGet(t, r, c, []byte("hotter"), key.MaxSeqNum)
		checkGet(t, r, c, []byte("hott"), key.MaxSeqNum)
		it := r.NewIter(nil, nil)
		if !it.SeekLT([]byte("hot")) || string(it.stretch.Items[it.stretch.At].User) != "a" {
			t.Errorf("%s: SeekLT(hot) is at %+v", optionsName(o), it.stretch)
		}
		if !it.SeekLT([]byte("hotter")) || it.stretch.Items[it.stretch.At].Trailer.SeqNum() != 2 {
			t.Errorf("%s: SeekLT(hotter) is at %+v", optionsName(o), it.stretch)
		}
	}
}

// TestPages: blocks of small entries fill whole pages, so a lookup touches one.
func TestPages(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	var c content
	for range 2000 {
		e := point(fmt.Sprintf("%016x", rng.Uint64()), 1, key.Set, strings.Repeat("v", 50+rng.IntN(100)))
		c.entries = append(c.entries, e)
	}
	sortEntries(c.entries)
	r := build(t, c, Options{})
	for j := range r.index.blocks - 1 {
		if offset, size := r.index.extent(j); offset%pageBytes != 0 || size != pageBytes {
			t.Fatalf("block %d has %d bytes at %d", j, size, offset)
		}
	}
	if used := r.properties.KeyBytes + r.properties.ValueBytes; used*100 < r.properties.DataBytes*90 {
		t.Errorf("%d bytes of entries in %d bytes of blocks", used, r.properties.DataBytes)
	}
}

// TestCompression: what compresses is stored smaller, what does not is stored as
// it is and read in place.
func TestCompression(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, c := range []struct {
		name   string
		random int // per cent of the value
		choice Compression
		want   codec
	}{
		{"plain", 0, S2, codecS2}, {"plain", 0, Zstd, codecZstd}, {"plain", 0, ZstdDict, codecZstdDict},
		{"random", 100, S2, codecNone}, {"random", 100, Zstd, codecNone}, {"random", 100, ZstdDict, codecNone},
	} {
		var in content
		for i := range 500 {
			value := make([]byte, 100)
			for j := range c.random {
				value[j] = byte(rng.Uint32())
			}
			in.entries = append(in.entries, entry{point(fmt.Sprintf("%08d", i), 1, key.Set, "").Internal, value})
		}
		b, _ := mustWrite(t, in, Options{Compression: c.choice, BlockBytes: 4096, trainBytes: 1 << 14})
		r := mustOpen(t, b)
		offset, _ := r.index.extent(r.index.blocks - 1) // which no dictionary has seen
		if got := codecOf(b[offset:]); got != c.want {
			t.Errorf("%s values, %v: block is encoded by %v, want %v", c.name, c.choice, got, c.want)
		}
	}
}

// TestEstimatedSize stays near the truth while the table grows.
func TestEstimatedSize(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	all := randomContent(rng, shapes[2], 5000)
	for _, n := range []int{0, 1, 10, 1000, len(all.entries)} {
		c := content{entries: all.entries[:n], deletes: smallContent().deletes}
		w := NewWriter(sink{}, Options{})
		if err := addAll(w, c); err != nil {
			t.Fatal(err)
		}
		estimated := w.EstimatedSize()
		meta, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if diff := int64(estimated) - int64(meta.Size); max(diff, -diff) > int64(meta.Size)/20+600 {
			t.Errorf("%d entries: estimated %d bytes, are %d", n, estimated, meta.Size)
		}
	}
}

// TestReset: a writer that has written other tables, and failed in between, writes the same bytes
// as a new one.
func TestReset(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	used := new(Writer)
	for i, o := range []Options{{Number: 1}, {Number: 2, Compression: S2}, {Number: 3, FilterBitsPerKey: -1}, {Number: 4}} {
		c := randomContent(rng, shapes[i%len(shapes)], 500*(4-i))
		c.deletes = smallContent().deletes
		var tables [2][]byte
		for j := range tables {
			f, err := vfs.NewMem().Create(testName)
			if err != nil {
				t.Fatal(err)
			}
			w := NewWriter(f, o)
			if j == 1 {
				w = used
				w.Reset(f, o)
			}
			if err := addAll(w, c); err != nil {
				t.Fatal(err)
			}
			meta, err := w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			tables[j] = make([]byte, meta.Size)
			if _, err := f.ReadAt(tables[j], 0); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(tables[0], tables[1]) {
			t.Errorf("table %d: a used writer writes other bytes than a new one", o.Number)
		}
		if used.Add([]byte("z"), 1, nil) == nil {
			t.Error("Add after Finish succeeds")
		}
	}
}
