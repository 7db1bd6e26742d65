package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// A member is one replica of a partition with everything: a local and a global index,
// facets, request ids.
type member struct {
	*Partition
	db *lsm.DB
}

func memberSchema() Schema {
	return Schema{
		Table: 3, Hash: Key{"p", item.S}, Sort: Key{"s", item.N}, Facets: []string{"f"},
		Indexes: []Index{
			{Name: "byX", Local: true, ID: 1, Hashes: 1, Keys: []Key{{"p", item.S}, {"x", item.N}}},
			{Name: "byF", ID: 9, Hashes: 1, Keys: []Key{{"f", item.S}}, All: true},
		},
	}
}

func openMember(t testing.TB, db *lsm.DB) *member {
	t.Helper()
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &member{p, db}
}

// entry draws the commands of one log entry.
func entry(t testing.TB, rng *rand.Rand, index uint64) (commands [][]byte) {
	t.Helper()
	if index == 1 {
		return [][]byte{(&Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: memberSchema()}}).Encode()}
	}
	for i := range 1 + rng.IntN(3) {
		key := fmt.Sprintf(`"p":{"S":"k%d"},"s":{"N":"%d"}`, rng.IntN(8), rng.IntN(30))
		c := &Command{Kind: Put, Request: RequestID{1 + rng.Uint64N(2), 10*index + uint64(i)}, Timestamp: txn.Timestamp(100*index + uint64(10*i)), Return: AllOld}
		switch n := rng.IntN(20); {
		case n < 3:
			c.Kind, c.Item = Delete, parseItem(t, "{"+key+"}")
		case n < 4:
			c = &Command{Kind: Trim, Through: rng.Uint64N(index)}
		default:
			c.Item = parseItem(t, fmt.Sprintf(`{%s,"x":{"N":"%d"},"f":{"S":"f%d"},"v":{"S":%q}}`,
				key, rng.IntN(9), rng.IntN(4), strings.Repeat("v", rng.IntN(2000))))
		}
		commands = append(commands, c.Encode())
	}
	return commands
}

// apply carries out the entries from its next one up to through.
func (m *member) apply(t testing.TB, log [][][]byte, through int) {
	t.Helper()
	for i := int(m.Applied()) + 1; i <= through; i++ {
		for _, r := range m.Apply(uint64(i), log[i]) {
			if err := r.(*Result).Err; err != nil {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
	}
}

func someLog(t testing.TB, seed uint64, n int) [][][]byte {
	rng := rand.New(rand.NewPCG(seed, 3))
	log := [][][]byte{nil}
	for i := uint64(1); i <= uint64(n); i++ {
		log = append(log, entry(t, rng, i))
	}
	return log
}

// content returns what the partition has, without what is this replica's own.
func (m *member) content(t testing.TB) string {
	own := hex.EncodeToString(appendGroupKey(nil, 7, partRestored))
	var out strings.Builder
	for line := range strings.Lines(stateOf(t, m.db)) {
		if !strings.HasPrefix(line, own) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func readAll(t testing.TB, r replication.SnapshotReader) (chunks [][]byte) {
	t.Helper()
	defer r.Close()
	for {
		chunk, err := r.Next()
		if errors.Is(err, io.EOF) {
			return chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(chunk) > replication.MaxChunkBytes {
			t.Errorf("a chunk of %d bytes", len(chunk))
		}
		chunks = append(chunks, bytes.Clone(chunk))
	}
}

// TestFingerprint: replicas that applied the same have the same one, also by way of a
// snapshot; whoever lacks one row, or holds another, also of a kind that no snapshot takes along, has not.
func TestFingerprint(t *testing.T) {
	log := someLog(t, 9, 120)
	var m [3]*member
	for i := range m {
		m[i] = openMember(t, openStore(t, vfs.NewMem()))
	}
	print := func(m *member) Fingerprint {
		t.Helper()
		f, err := FingerprintOf(m.db, 7)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := print(m[0]); f != (Fingerprint{}) {
		t.Errorf("of nothing: %+v", f)
	}
	m[0].apply(t, log, 100)
	m[1].apply(t, log, 100)
	snapshot, err := m[0].Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(m[2].Partition, replication.SnapshotMeta{Index: 100, Term: 1}, readAll(t, snapshot)); err != nil {
		t.Fatal(err)
	}
	want := print(m[0])
	if want.Applied != 100 || want.Pairs < 100 {
		t.Errorf("fingerprint %+v", want)
	}
	for i, m := range m {
		if got := print(m); got != want {
			t.Errorf("replica %d has %+v, want %+v", i, got, want)
		}
	}
	it, err := m[1].db.NewIter(lsm.IterOptions{Lower: []byte{spaceRow}})
	if err != nil || !it.First() {
		t.Fatal("no rows:", err)
	}
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	b := m[1].db.NewBatch()
	b.Set(key, append(value, 0))
	if err := m[1].db.Apply(b); err != nil {
		t.Fatal(err)
	}
	if got := print(m[1]); got == want || got.Pairs != want.Pairs {
		t.Errorf("with another row: %+v, want not %+v", got, want)
	}
	b = m[2].db.NewBatch()
	b.Delete(key)
	if err := m[2].db.Apply(b); err != nil {
		t.Fatal(err)
	}
	if got := print(m[2]); got == want || got.Pairs != want.Pairs-1 {
		t.Errorf("without a row: %+v, want not %+v", got, want)
	}
	key[1+4] = 0xff
	b = m[0].db.NewBatch()
	b.Set(key, nil)
	if err := m[0].db.Apply(b); err != nil {
		t.Fatal(err)
	}
	if got := print(m[0]); got == want || got.Pairs != want.Pairs+1 {
		t.Errorf("with a row in a place that nobody knows: %+v, want not %+v", got, want)
	}
}

func restore(p *Partition, meta replication.SnapshotMeta, chunks [][]byte) error {
	w, err := p.Restore(meta)
	if err != nil {
		return err
	}
	for _, chunk := range chunks {
		if err := w.Write(chunk); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Commit()
}

// TestSnapshot: a replica that lags, or has nothing, or has rows that are long deleted,
// is after a snapshot what the other one was when it was taken, on disk and in memory; and
// from there on both come to the same results. Facets find what they should.
func TestSnapshot(t *testing.T) {
	for seed := range uint64(4) {
		log := someLog(t, seed, 400)
		source := openMember(t, openStore(t, vfs.NewMem()))
		source.apply(t, log, 200)
		source.ApplyMembers(201, []byte("members"))
		meta := replication.SnapshotMeta{Index: 201, Term: 5, Members: []byte("members")}
		snapshot, err := source.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		want := source.content(t)
		source.apply(t, log, 300) // the snapshot is of before
		chunks := readAll(t, snapshot)
		fs := vfs.NewMem()
		target := openMember(t, openStore(t, fs))
		target.apply(t, log, int(seed)*60)
		if err := restore(target.Partition, meta, chunks); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if seed%2 == 0 {
			if err := target.db.Close(); err != nil {
				t.Fatal(err)
			}
			target = openMember(t, openStore(t, fs))
		}
		index, term := target.Restored()
		if target.Applied() != 201 || string(target.Members()) != "members" || index != 201 || term != 5 {
			t.Errorf("seed %d: applied %d, members %q, restored %d %d", seed, target.Applied(), target.Members(), index, term)
		}
		if got := target.content(t); got != want {
			t.Errorf("seed %d: the replica has %d bytes, want %d", seed, len(got), len(want))
		}
		again := openMember(t, openStore(t, vfs.NewMem()))
		again.apply(t, log, 200)
		again.ApplyMembers(201, []byte("members"))
		if got, want := target.State(), again.State(); !reflect.DeepEqual(got.Stats, want.Stats) || !reflect.DeepEqual(got.Local, want.Local) ||
			got.Sequence != want.Sequence || got.Trimmed != want.Trimmed || got.Latest != want.Latest {
			t.Errorf("seed %d: state %+v, want %+v", seed, got, want)
		}
		for i := uint64(202); i < 240; i++ {
			// Requests of the entries in the snapshot come again, too.
			commands := append(log[i], log[i-100]...)
			if got, want := target.Apply(i, commands), again.Apply(i, commands); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: entry %d gives %v, want %v", seed, i, got, want)
			}
		}
		if target.content(t) != again.content(t) {
			t.Errorf("seed %d: replicas differ after further entries", seed)
		}
		target.checkFacets(t)
	}
}

// checkFacets compares a page that facets narrow with one that they do not.
func (m *member) checkFacets(t testing.TB) {
	t.Helper()
	schema := memberSchema()
	filter, err := expr.ParseCondition(expr.FilterExpression, "f = :f", expr.NewParams(nil, parseItem(t, `{":f":{"S":"f1"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	lower, upper := schema.HashSpan(nil, 0, ^uint64(0))
	narrow, err := m.Page(&PageRequest{Lower: lower, Upper: upper, Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Page(&PageRequest{Lower: lower, Upper: upper})
	if err != nil {
		t.Fatal(err)
	}
	var want []item.Item
	for _, it := range all.Items {
		if filter.Eval(it) {
			want = append(want, it)
		}
	}
	if !reflect.DeepEqual(narrow.Items, want) || narrow.Scanned == all.Scanned || len(want) == 0 {
		t.Errorf("by facets %d of %d items, want %d", len(narrow.Items), narrow.Scanned, len(want))
	}
}

// TestRestoreInChunks: large values go over the borders of chunks.
func TestRestoreInChunks(t *testing.T) {
	source := openMember(t, openStore(t, vfs.NewMem()))
	source.Apply(1, [][]byte{counterConfig()})
	for i := uint64(2); i < 12; i++ {
		it := parseItem(t, fmt.Sprintf(`{"p":{"S":"%d"},"v":{"S":%q}}`, i, strings.Repeat("x", 300<<10)))
		source.Apply(i, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: it}).Encode()})
	}
	snapshot, err := source.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	chunks := readAll(t, snapshot)
	if len(chunks) < 5 {
		t.Errorf("%d chunks", len(chunks))
	}
	target := openMember(t, openStore(t, vfs.NewMem()))
	if err := restore(target.Partition, replication.SnapshotMeta{Index: 11, Term: 1}, chunks); err != nil {
		t.Fatal(err)
	}
	if target.content(t) != source.content(t) || target.Members() != nil {
		t.Error("the replica differs")
	}
}

// TestRestoreRefuses: chunks that are damaged, missing, doubled or of another group or
// entry change nothing.
func TestRestoreRefuses(t *testing.T) {
	log := someLog(t, 1, 100)
	source := openMember(t, openStore(t, vfs.NewMem()))
	source.apply(t, log, 80)
	for i := uint64(81); i < 84; i++ {
		it := parseItem(t, fmt.Sprintf(`{"p":{"S":"%d"},"s":{"N":"1"},"v":{"S":%q}}`, i, strings.Repeat("x", 300<<10)))
		source.Apply(i, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: it}).Encode()})
	}
	snapshot, _ := source.Snapshot()
	chunks := readAll(t, snapshot)
	if len(chunks) < 2 {
		t.Fatalf("%d chunks", len(chunks))
	}
	meta := replication.SnapshotMeta{Index: 83, Term: 1}
	target := openMember(t, openStore(t, vfs.NewMem()))
	target.apply(t, log, 40)
	before := target.content(t)
	damaged := func(i, at int) [][]byte {
		list := append([][]byte{}, chunks...)
		list[i] = bytes.Clone(list[i])
		list[i][at%len(list[i])] ^= 0x40
		return list
	}
	for what, try := range map[string]struct {
		meta   replication.SnapshotMeta
		chunks [][]byte
	}{
		"nothing":          {meta, nil},
		"the end missing":  {meta, chunks[:len(chunks)-1]},
		"the head missing": {meta, chunks[1:]},
		"one twice":        {meta, append([][]byte{chunks[0], chunks[0]}, chunks[1:]...)},
		"more at the end":  {meta, append(append([][]byte{}, chunks...), chunks[len(chunks)-1])},
		"another version":  {meta, damaged(0, 0)},
		"another byte":     {meta, damaged(1, 1000)},
		"another checksum": {meta, damaged(1, 2)},
		"another entry":    {replication.SnapshotMeta{Index: 84}, chunks},
	} {
		if err := restore(target.Partition, try.meta, try.chunks); !errors.Is(err, ErrCopy) {
			t.Errorf("%s: %v, want ErrCopy", what, err)
		}
		if target.content(t) != before || target.Applied() != 40 || target.Config() == nil {
			t.Fatalf("%s: the replica has changed", what)
		}
	}
	other, err := Open(target.db, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(other, meta, chunks); !errors.Is(err, ErrCopy) {
		t.Errorf("another group: %v", err)
	}
	target.apply(t, log, 50)
}

// TestRestoreOverOthers: a snapshot does not replace rows of another partition of the
// store, and replaces those that the partition had before.
func TestRestoreOverOthers(t *testing.T) {
	config := func(version, first, last uint64) []byte {
		return (&Command{Kind: Configure, Config: &Config{Version: version, First: first, Last: last, Schema: memberSchema()}}).Encode()
	}
	open := func(db *lsm.DB, group, first, last uint64) *Partition {
		p, err := Open(db, group)
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(1, [][]byte{config(1, first, last)})
		for i := range uint64(40) {
			it := parseItem(t, fmt.Sprintf(`{"p":{"S":"k%d"},"s":{"N":"1"},"x":{"N":"1"},"v":{"N":"%d"}}`, i, group))
			p.Apply(2+i, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: it}).Encode()})
		}
		return p
	}
	const half = uint64(1) << 63
	chunksOf := func(p *Partition) [][]byte {
		r, err := p.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, r)
	}
	far := openStore(t, vfs.NewMem())
	parent, child := open(far, 7, 0, half-1), open(far, 8, half, ^uint64(0))
	meta := replication.SnapshotMeta{Index: 41, Term: 1}

	near := openStore(t, vfs.NewMem())
	whole := open(near, 7, 0, ^uint64(0)) // has not come to the split
	empty, err := Open(near, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(empty, meta, chunksOf(child)); !errors.Is(err, ErrOverlap) {
		t.Fatalf("the child over the parent: %v, want ErrOverlap", err)
	}
	if empty.Applied() != 0 || whole.Stats().Items != 40 {
		t.Fatal("a refused snapshot has changed something")
	}
	parent.Apply(42, [][]byte{config(2, 0, half-1)})
	meta.Index = 42
	if err := restore(whole, meta, chunksOf(parent)); err != nil {
		t.Fatal(err)
	}
	if strings.Count(stateOf(t, near), "\n") >= strings.Count(stateOf(t, far), "\n") {
		t.Error("rows of the child were not deleted")
	}
	meta.Index = 41
	if err := restore(empty, meta, chunksOf(child)); err != nil {
		t.Fatalf("the child beside the parent: %v", err)
	}
	own := func(s string) (lines []string) {
		for line := range strings.Lines(s) {
			if !strings.HasPrefix(line, "01") || !strings.Contains(line[18:], "07=") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if got, want := own(stateOf(t, near)), own(stateOf(t, far)); !reflect.DeepEqual(got, want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	if got, err := Groups(near); err != nil || !reflect.DeepEqual(got, []uint64{7, 8}) {
		t.Errorf("Groups: %v, %v", got, err)
	}
	for _, group := range []uint64{8, 8, 7} { // the second time it is gone already
		if err := Drop(near, group); err != nil {
			t.Fatal(err)
		}
		if got, err := Groups(near); err != nil || len(got) != int(group)-7 {
			t.Errorf("Groups without %d: %v, %v", group, got, err)
		}
	}
	if rest := stateOf(t, near); rest != "" {
		t.Errorf("left:\n%s", rest)
	}
}

// TestRestoreFailsAnywhere: whichever call of the file system fails while a snapshot is
// staged and committed, and if the power fails then, the partition has its old state or
// the new one.
func TestRestoreFailsAnywhere(t *testing.T) {
	log := someLog(t, 2, 60)
	source := openMember(t, openStore(t, vfs.NewMem()))
	source.apply(t, log, 60)
	snapshot, _ := source.Snapshot()
	chunks := readAll(t, snapshot)
	late := source.content(t)
	meta := replication.SnapshotMeta{Index: 60, Term: 2}
	old := openMember(t, openStore(t, vfs.NewMem()))
	old.apply(t, log, 30)
	early := old.content(t)
	stride := 1
	if testing.Short() {
		stride = 3
	}
	outcomes := map[bool]int{}
	for n, reached := 1, true; reached; n += stride {
		disk := vfs.NewDisk(uint64(n))
		calls, armed := 0, false
		fs := vfs.NewInject(disk, func(vfs.Op) error {
			if !armed {
				return nil
			}
			if calls++; calls >= n {
				return vfs.ErrIO
			}
			return nil
		})
		w := env.NewWorld(uint64(n), env.Options{})
		e := w.NewNode("n")
		if err := w.Do(e, "test", func() {
			open := func(fs vfs.FS) *member {
				db, err := lsm.Open(e, fs, StoreOptions(lsm.Options{DisableWAL: true, NoPreallocate: true}))
				if err != nil {
					panic(err)
				}
				return openMember(t, db)
			}
			m := open(fs)
			m.apply(t, log, 30)
			if err := m.db.Flush(); err != nil {
				panic(err)
			}
			armed = true
			err := restore(m.Partition, meta, chunks)
			reached = calls >= n
			if err == nil && m.Applied() != 60 {
				panic("committed, but not there")
			}
			disk.Crash(vfs.CrashMode(n % 4))
			m = open(disk.Mount())
			want := early
			if m.Applied() == 60 {
				want = late
			}
			if got := m.content(t); got != want || err == nil && m.Applied() != 60 {
				panic(fmt.Sprintf("call %d: %v; applied %d, %d bytes of state, want %d", n, err, m.Applied(), len(got), len(want)))
			}
			outcomes[m.Applied() == 60]++
			if err := m.db.Close(); err != nil {
				panic(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	if outcomes[true] == 0 || outcomes[false] < 5 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// TestMembersAfterRequests: an entry that changes members notes no requests again.
func TestMembersAfterRequests(t *testing.T) {
	m := openMember(t, openStore(t, vfs.NewMem()))
	m.apply(t, someLog(t, 1, 10), 10)
	next := m.window.next
	m.ApplyMembers(11, []byte("m"))
	if m.window.next != next {
		t.Errorf("record %d was written by a change of members", next)
	}
}

// TestCopyGolden: chunks have the bytes of version 1.
func TestCopyGolden(t *testing.T) {
	m := openMember(t, openStore(t, vfs.NewMem()))
	m.Apply(1, [][]byte{counterConfig()})
	m.Apply(2, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: parseItem(t, `{"p":{"S":"a"}}`)}).Encode()})
	snapshot, _ := m.Snapshot()
	var out strings.Builder
	for _, chunk := range readAll(t, snapshot) {
		out.WriteString(hex.Dump(chunk))
	}
	out.WriteString("restored\n" + hex.Dump(restored{0x0a0b, 0x0c0d}.append(nil)))
	checkGolden(t, "testdata/snapshot.v1.golden", out.String())
}

// FuzzCopy: no stream makes the writer panic or commit what is not whole.
func FuzzCopy(f *testing.F) {
	log := someLog(f, 1, 5)
	source := openMember(f, openStore(f, vfs.NewMem()))
	source.apply(f, log, 5)
	snapshot, _ := source.Snapshot()
	for _, chunk := range readAll(f, snapshot) {
		f.Add(chunk[copyHeader+1:])
	}
	db := openStore(f, vfs.NewMem())
	f.Fuzz(func(t *testing.T, stream []byte) {
		w := NewCopyWriter(db, CopyOptions{Group: 7, Index: 5, Spans: func(copied []lsm.KeySpan) ([]lsm.KeySpan, error) { return copied, nil }})
		if err := w.write(appendChunk(nil, 0, stream)); err == nil && w.ended && w.to == nil {
			t.Fatal("ended without a beginning")
		}
		w.Abort()
	})
}
