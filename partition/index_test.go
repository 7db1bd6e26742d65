package partition

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
)

// indexedSchema has one index of each kind.
func indexedSchema() Schema {
	return Schema{
		Table: 0x01020304, Hash: Key{"p", item.S}, Sort: Key{"s", item.N},
		Indexes: []Index{
			{Name: "local", Local: true, ID: 1, Hashes: 1, Keys: []Key{{"p", item.S}, {"t", item.B}}, Projected: []string{"v"}},
			{Name: "global", ID: 0x0a0b0c0d, Hashes: 2, Keys: []Key{{"x", item.S}, {"y", item.N}, {"t", item.B}, {"z", item.N}}, All: true},
		},
	}
}

// TestEntryGolden: the keys and records of indexes have the bytes of their
// first version.
func TestEntryGolden(t *testing.T) {
	const file = "testdata/entries.v1.golden"
	s := indexedSchema()
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"-1.5"},"t":{"B":"AAH/"},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"0"},"v":{"BOOL":true},"w":{"N":"1"}}`)
	p := &Partition{group: 0x0a0b}
	var out strings.Builder
	dump := func(what string, b []byte) { out.WriteString(what + "\n" + hex.Dump(b)) }
	dump("key of a local entry", s.AppendEntryKey(nil, &s.Indexes[0], it))
	dump("key of a global entry", s.AppendEntryKey(nil, &s.Indexes[1], it))
	dump("entry with a projection", s.appendEntry(nil, &p.scratch.builder, &s.Indexes[0], it))
	dump("key of the size of a collection", s.appendCollectionSizeKey(nil, it))
	dump("progress", p.appendProgress(nil, 1, counters{items: 2, bytes: 3, latest: 4, maxDelete: 5, local: []Stats{{6, 7}, {8, 9}}}))
	dump("configuration", (&Config{Version: 3, First: 1 << 63, Last: ^uint64(0), Schema: s}).append(nil))
	dump("configuration of an index partition", (&Config{Version: 1, Last: 5, Entries: true, Schema: Schema{Table: 0x0a0b0c0d, Hash: s.Hash, Indexes: s.Indexes[1:]}}).append(nil))
	dump("progress with changes", p.appendProgress(nil, 1, counters{items: 2, sequence: 10, trimmed: 9}))
	dump("key of a change", appendChangeKey(nil, p.group, 10))
	dump("change", (&Change{Timestamp: 5, Whole: true, Indexes: []uint32{0x0a0b0c0d, 1}, Old: it, New: it}).append(nil))
	dump("change by a backfill", (&Change{Timestamp: 5, Backfill: true, Indexes: []uint32{1}, New: it}).append(nil))
	dump("key of a source", appendSourceKey(nil, p.group, 0x0c0d))
	dump("source", appendSource(nil, 10))
	dump("key of a backfill", appendBackfillKey(nil, p.group, 0x0a0b0c0d))
	batch := NewEntryBatch(0x0c0d)
	batch.Put(9, s.AppendEntryKey(nil, &s.Indexes[1], it), 5, it)
	batch.Delete(10, s.AppendEntryKey(nil, &s.Indexes[1], it))
	dump("entries command", batch.Encode(11))
	dump("trim command", (&Command{Kind: Trim, Through: 10}).Encode())
	dump("backfill command", (&Command{Kind: Backfill, Index: 0x0a0b0c0d, Rows: 100}).Encode())
	checkGolden(t, file, out.String())
}

// checkGolden compares a file with what the code writes today.
func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *rewriteGolden {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: encoded as\n%s, want\n%s", file, got, want)
	}
}

// An entry key begins with what Query looks for: the prefix of its partition
// key values.
func TestEntryKeyPrefix(t *testing.T) {
	s := indexedSchema()
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"},"t":{"B":"AA=="},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"0"}}`)
	for i := range s.Indexes {
		x := &s.Indexes[i]
		var hashes []item.Value
		for _, k := range x.Keys[:x.Hashes] {
			v, _ := it.Get(k.Name)
			hashes = append(hashes, v)
		}
		key, prefix := string(s.AppendEntryKey(nil, x, it)), string(s.AppendEntriesKey(nil, x, hashes))
		lower, upper := s.HashSpan(x, RowHash([]byte(key)), RowHash([]byte(key)))
		if !strings.HasPrefix(key, prefix) || key < string(lower) || key >= string(upper) {
			t.Errorf("index %s: key %x, prefix %x, span [%x, %x)", x.Name, key, prefix, lower, upper)
		}
	}
}

func FuzzDecodeProgress(f *testing.F) {
	p := &Partition{}
	f.Add(p.appendProgress(nil, 1, counters{items: 2}))
	f.Add(p.appendProgress(nil, 1, counters{items: 2, local: []Stats{{1, 2}}}))
	f.Add(p.appendProgress(nil, 1, counters{items: 2, sequence: 7, trimmed: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		applied, c, ok := decodeProgress(b)
		if !ok {
			return
		}
		if again := p.appendProgress(nil, applied, c); string(again) != string(b) {
			t.Fatalf("%x is written again as %x", b, again)
		}
	})
}

// A collection that is full takes no write that makes it larger; others, and
// other collections, go on. Commands of one log entry see each other's sizes.
func TestCollectionLimit(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	defer db.Close()
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	p.maxCollection = 60
	index := uint64(0)
	apply := func(commands ...Command) (results []*Result) {
		index++
		var encoded [][]byte
		for i := range commands {
			encoded = append(encoded, commands[i].Encode())
		}
		for _, a := range p.Apply(index, encoded) {
			results = append(results, a.(*Result))
		}
		return results
	}
	put := func(p string, s, size int) Command {
		return Command{Kind: Put, Item: parseItem(t, fmt.Sprintf(`{"p":{"S":%q},"s":{"N":"%d"},"t":{"B":"AA=="},"w":{"S":%q}}`, p, s, strings.Repeat("w", size)))}
	}
	schema := indexedSchema()
	apply(Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: schema}})
	// Without w, an item has 2+3+2 = 7 bytes, and so has its local entry.
	r := apply(put("a", 1, 10), put("a", 2, 10), put("a", 3, 10), put("b", 1, 10))
	for i, want := range []int64{25, 50, 0, 25} {
		if r[i].CollectionBytes != want || (want == 0) != errors.Is(r[i].Err, ErrCollectionFull) {
			t.Errorf("write %d: collection of %d bytes, error %v, want %d bytes", i, r[i].CollectionBytes, r[i].Err, want)
		}
	}
	if p, err = Open(db, 7); err != nil { // sizes are in the store
		t.Fatal(err)
	}
	p.maxCollection = 60
	grow, shrink := apply(put("a", 2, 21))[0], apply(put("a", 2, 5))[0]
	if !errors.Is(grow.Err, ErrCollectionFull) || shrink.Err != nil || shrink.CollectionBytes != 45 {
		t.Errorf("a growing write: %v, a shrinking one: %+v", grow.Err, shrink)
	}
	p.maxCollection = 10 // as if it had grown too large before
	if r := apply(put("a", 2, 4), Command{Kind: Delete, Item: parseItem(t, `{"p":{"S":"a"},"s":{"N":"2"}}`)}); r[0].Err != nil || r[1].CollectionBytes != 25 {
		t.Errorf("a shrinking write and a delete: %+v, %+v", r[0], r[1])
	}
	apply(Command{Kind: Delete, Item: parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"}}`)})
	key := schema.appendCollectionSizeKey(nil, put("a", 1, 1).Item)
	if b, err := db.Get(key, nil); err == nil {
		t.Errorf("an empty collection has the record %x", b)
	}
}

// FuzzDecodeChange: bytes that are accepted are those that would be written.
func FuzzDecodeChange(f *testing.F) {
	it := parseItem(f, `{"p":{"S":"a"}}`)
	f.Add((&Change{Timestamp: 5, Whole: true, Indexes: []uint32{7, 1}, Old: it, New: it}).append(nil))
	f.Add((&Change{Backfill: true, Indexes: []uint32{1}, New: it}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Change
		if err := c.decode(b); err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v is not ErrFormat", err)
			}
			return
		}
		var again Change
		if err := again.decode(c.append(nil)); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%x is %+v, then %+v, %v", b, c, again, err)
		}
	})
}

// A partition of an index takes each change of a source once, whatever is
// repeated, and in whatever pieces it comes.
func TestEntriesOnce(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	defer db.Close()
	schema := indexedSchema()
	x := &schema.Indexes[1]
	open := func() *Partition {
		p, err := Open(db, 9)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	index := uint64(0)
	apply := func(commands ...[]byte) {
		index++
		for i, a := range p.Apply(index, commands) {
			if err := a.(*Result).Err; err != nil {
				t.Fatalf("command %d: %v", i, err)
			}
		}
	}
	apply((&Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Entries: true, Schema: Schema{Table: x.ID, Hash: schema.Hash, Sort: schema.Sort, Indexes: schema.Indexes[1:]}}}).Encode())
	entry := func(z int) item.Item {
		return parseItem(t, fmt.Sprintf(`{"p":{"S":"a"},"s":{"N":"1"},"t":{"B":"AA=="},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"%d"}}`, z))
	}
	key := func(z int) []byte { return schema.AppendEntryKey(nil, x, entry(z)) }
	// Change i moves the entry from z = i-1 to z = i.
	batch := func(from, through uint64) []byte {
		b := NewEntryBatch(5)
		for i := from; i <= through; i++ {
			b.Delete(i, key(int(i-1)))
			b.Put(i, key(int(i)), 1, entry(int(i)))
		}
		return b.Encode(through)
	}
	check := func(what string, z int) {
		t.Helper()
		lower, upper := schema.HashSpan(x, 0, ^uint64(0))
		rows, err := p.Rows(RowOptions{Lower: lower, Upper: upper})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
			if !rows.Item().Equal(entry(z)) {
				t.Errorf("%s: holds %s", what, rows.Item().AppendJSON(nil))
			}
		}
		if st := p.Stats(); n != 1 || st.Items != 1 || st.Bytes != int64(entry(z).Size()) {
			t.Errorf("%s: %d entries, counted %+v", what, n, st)
		}
	}
	apply(batch(1, 3))
	check("three changes", 3)
	apply(batch(1, 3))
	check("the same again", 3)
	apply(batch(2, 5))
	check("some of them again, and more", 5)
	p = open()
	apply(batch(1, 4), batch(5, 6), batch(1, 6))
	check("after a restart, several in one entry of the log", 6)
	put := Command{Kind: Put, Item: entry(1)}
	if r := p.Apply(index+1, [][]byte{put.Encode()})[0].(*Result); !errors.Is(r.Err, ErrWrongPartition) {
		t.Errorf("a put of an item: %v", r.Err)
	}
}
