package manifest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
)

var update = flag.Bool("update", false, "rewrite the sample files")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// table returns a table over [start, end] with plausible numbers.
func table(num FileNum, start, end string, smallestSeq, largestSeq key.SeqNum) *Table {
	return &Table{
		Num: num, Size: 1000 + uint64(num), Entries: 10, Deletes: 2, RangeDeletes: 1, RawBytes: 900,
		Smallest:    key.Internal{User: []byte(start), Trailer: key.MakeTrailer(largestSeq, key.Set)},
		Largest:     key.Internal{User: []byte(end), Trailer: key.MakeTrailer(smallestSeq, key.Delete)},
		SmallestSeq: smallestSeq, LargestSeq: largestSeq,
	}
}

// describe is everything that a state holds, as text.
func describe(s State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %s\n", s.NextFile, s.FlushedSeq, s.Log)
	for level, tables := range s.Version.Levels {
		for _, t := range tables {
			fmt.Fprintf(&b, "L%d %+v\n", level, *t)
		}
	}
	fmt.Fprintf(&b, "%+v\n", s.Version.Values)
	return b.String()
}

func mustOpen(t testing.TB, fs vfs.FS, o Options) *Manifest {
	t.Helper()
	m, err := Open(fs, o)
	must(t, err)
	return m
}

func TestStateSurvives(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Open(fs, Options{}); !errors.Is(err, ErrNone) {
		t.Fatalf("Open of nothing = %v", err)
	}
	m, err := Create(fs, Options{}, State{})
	must(t, err)
	edits := []*Edit{
		{NextFile: 3, FlushedSeq: 9, Log: 2, Added: []Added{{0, table(2, "a", "m", 1, 9)}}},
		{NextFile: 5, FlushedSeq: 20, Added: []Added{{0, table(4, "c", "x", 10, 20)}}},
		{NextFile: 9, Deleted: []Deleted{{0, 2}, {0, 4}}, Added: []Added{{1, table(6, "a", "k", 1, 20)}, {1, table(5, "l", "x", 3, 18)}}},
		{Deleted: []Deleted{{1, 6}}, Added: []Added{{2, table(6, "a", "k", 1, 20)}}},
	}
	var state State
	for _, e := range edits {
		state, err = m.Append(e)
		must(t, err)
	}
	want := "L1: 000005 [l#18,SET, x#3,DEL]\nL2: 000006 [a#20,SET, k#1,DEL]\n"
	if state.Version.String() != want {
		t.Errorf("version\n%swant\n%s", state.Version, want)
	}
	must(t, m.Close())
	m = mustOpen(t, fs, Options{})
	if got := describe(m.State()); got != describe(state) {
		t.Errorf("after reopening\n%swant\n%s", got, describe(state))
	}
}

func TestBadEditsAreRefused(t *testing.T) {
	m, err := Create(vfs.NewMem(), Options{}, State{})
	must(t, err)
	state, err := m.Append(&Edit{NextFile: 10, FlushedSeq: 50, Log: 5, Added: []Added{{0, table(2, "a", "m", 10, 20)}, {1, table(3, "a", "f", 1, 5)}}})
	must(t, err)
	for name, e := range map[string]*Edit{
		"deletes what is not there":     {Deleted: []Deleted{{1, 2}}},
		"adds a table twice":            {Added: []Added{{0, table(2, "a", "m", 10, 20)}}},
		"overlaps in a level":           {Added: []Added{{1, table(4, "f", "g", 1, 5)}}},
		"overlaps in time":              {Added: []Added{{0, table(4, "x", "y", 20, 30)}}},
		"uses a number not given out":   {Added: []Added{{0, table(10, "x", "y", 30, 40)}}},
		"is newer than what is flushed": {Added: []Added{{0, table(4, "x", "y", 30, 51)}}},
		"goes back":                     {FlushedSeq: 49},
		"goes back in the log":          {Log: 4},
	} {
		if _, err := m.Append(e); !errors.Is(err, errBadEdit) {
			t.Errorf("an edit that %s: %v", name, err)
		}
	}
	if m.Err() != nil || describe(m.State()) != describe(state) {
		t.Error("a refused edit changed something")
	}
}

// A span that ends before its end key may touch the next table.
func TestSpans(t *testing.T) {
	open := table(4, "a", "f", 1, 5)
	open.Largest.Trailer = key.MaxTrailer
	v, err := (&Version{}).apply(&Edit{Added: []Added{{1, open}, {1, table(5, "f", "g", 1, 5)}}})
	must(t, err)
	for _, tt := range []struct {
		span Span
		want string
	}{
		{Span{[]byte("b"), []byte("c"), false}, "000004"},
		{Span{[]byte("e"), []byte("f"), true}, "000004"},
		{Span{[]byte("e"), []byte("f"), false}, "000004 000005"},
		{Span{[]byte("f"), []byte("f"), false}, "000005"},
		{Span{[]byte("0"), []byte("a"), true}, ""},
		{Span{[]byte("h"), []byte("i"), false}, ""},
	} {
		var got []string
		for _, tab := range v.Overlapping(1, tt.span) {
			got = append(got, tab.Num.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("Overlapping(%s) = %s, want %s", tt.span, got, tt.want)
		}
		for _, tab := range v.Levels[1] {
			if got, want := tab.Span().Overlaps(tt.span), strings.Contains(tt.want, tab.Num.String()); got != want {
				t.Errorf("%s overlaps %s: %v", tab, tt.span, got)
			}
		}
	}
}

// randomEdit returns an edit that fits the state.
func randomEdit(rng *rand.Rand, s State) *Edit {
	e := &Edit{NextFile: s.NextFile + 1, FlushedSeq: s.FlushedSeq + 1 + key.SeqNum(rng.IntN(20))}
	num := s.NextFile
	level := rng.IntN(Levels)
	if tables := s.Version.Levels[level]; len(tables) > 0 && rng.IntN(2) == 0 {
		e.Deleted = append(e.Deleted, Deleted{level, tables[rng.IntN(len(tables))].Num})
	}
	start := fmt.Sprintf("%08d", num) // numbers rise, so levels stay in order
	e.Added = append(e.Added, Added{level, table(num, start, start+"x", s.FlushedSeq+1, e.FlushedSeq)})
	addValues(rng, s, e)
	if t := e.Added[0].Table; rng.IntN(2) == 0 {
		t.OldestTime = 1 + env.Time(rng.Int64N(1<<62))
		t.NewestTime = t.OldestTime + env.Time(rng.Int64N(1<<62))
	}
	if t := e.Added[0].Table; rng.IntN(3) == 0 {
		t.SmallestSeq = t.LargestSeq
		t.Foreign = 1 + rng.Uint64N(1<<63)
	}
	return e
}

// addValues makes the table that e adds point into value files: perhaps a new one, and
// perhaps those of which something is still free.
func addValues(rng *rand.Rand, s State, e *Edit) {
	t := e.Added[0].Table
	for _, f := range s.Version.Values {
		if f.Garbage() > 0 && rng.IntN(3) == 0 {
			t.Values = append(t.Values, ValueRef{f.Num, 1 + rng.Uint64N(f.Garbage())})
		}
	}
	if rng.IntN(2) == 0 {
		e.NextFile++
		e.Values = append(e.Values, ValueFile{Num: t.Num + 1, Size: 1000, Records: 3})
		t.Values = append(t.Values, ValueRef{t.Num + 1, 1 + rng.Uint64N(1000)})
	}
}

// Every I/O call of a life with many switches of CURRENT fails once; then the
// state is that of the last edit that was acknowledged, or the next.
func TestEveryCallFailsOnce(t *testing.T) {
	seed := rand.Uint64()
	o := Options{Dir: "db", RotateBytes: 1}
	for _, cause := range []error{vfs.ErrIO, vfs.ErrNoSpace} {
		for n := 1; ; n++ {
			rng := rand.New(rand.NewPCG(seed, 0))
			mem := vfs.NewMem()
			must(t, mem.MkdirAll("db"))
			m, err := Create(mem, o, State{})
			must(t, err)
			must(t, m.Close())

			calls := 0
			fs := vfs.NewInject(mem, func(op vfs.Op) error {
				if calls++; calls == n {
					return cause
				}
				return nil
			})
			allowed := []string{describe(m.State())}
			if m, err = Open(fs, o); err == nil {
				for range 12 {
					e := randomEdit(rng, m.State())
					next, err := m.state.apply(e)
					must(t, err)
					if _, err := m.Append(e); err == nil {
						allowed = []string{describe(next)}
					} else if m.Err() != nil {
						allowed = append(allowed, describe(next))
						break
					}
				}
				_ = m.Close()
			}
			if calls < n {
				break
			}
			again, err := Open(mem, o)
			if err != nil {
				t.Fatalf("seed %d: call %d failed with %v: %v", seed, n, cause, err)
			}
			got := describe(again.State())
			if got != allowed[0] && got != allowed[len(allowed)-1] {
				t.Fatalf("seed %d: call %d failed with %v: state\n%swant\n%s", seed, n, cause, got, strings.Join(allowed, "or\n"))
			}
		}
	}
}

// Random lives on a simulated disk, each ended by a crash at a random call. The state is
// that of the last edit that was acknowledged, or of the one under way.
func TestRandomCrashes(t *testing.T) {
	o := Options{RotateBytes: 1}
	first := rand.Uint64() >> 16
	for seed := first; seed < first+100; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		disk := vfs.NewDisk(seed)
		m, err := Create(disk, o, State{})
		must(t, err)
		acked := m.State()
		begun := acked
		for range 8 {
			m, err := Open(disk.Mount(), o)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got := describe(m.State()); got != describe(acked) && got != describe(begun) {
				t.Fatalf("seed %d: state\n%swant\n%sor\n%s", seed, got, describe(acked), describe(begun))
			}
			acked = m.State()
			disk.CrashAt(1+rng.IntN(60), func() { disk.Crash(vfs.RandomCrash(rng)) })
			for err == nil {
				e := randomEdit(rng, m.State())
				begun, err = m.state.apply(e)
				must(t, err)
				if _, err = m.Append(e); err == nil {
					acked = begun
				}
			}
			_ = m.Close()
			disk.CrashAt(1<<40, func() {})
		}
	}
}

func TestRotationKeepsFewSegments(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{RotateBytes: 200}
	m, err := Create(fs, o, State{})
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		_, err := m.Append(randomEdit(rng, m.State()))
		must(t, err)
	}
	names, err := SegmentNames(fs, "")
	must(t, err)
	if len(names) != 1 || names[0] < "manifest-000004.log" {
		t.Errorf("segments %q, want one that is not among the first", names)
	}
	want := describe(m.State())
	must(t, m.Close())
	if got := describe(mustOpen(t, fs, o).State()); got != want {
		t.Errorf("after reopening\n%swant\n%s", got, want)
	}
}

// Every byte of a closed manifest is checked.
func TestEveryFlippedByteIsFound(t *testing.T) {
	fs := vfs.NewMem()
	m, err := Create(fs, Options{}, State{})
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		_, err := m.Append(randomEdit(rng, m.State()))
		must(t, err)
	}
	must(t, m.Close())
	names, err := fs.List("")
	must(t, err)
	image := map[string][]byte{}
	for _, name := range names {
		image[name] = readFile(t, fs, name)
	}
	if len(names) != 3 {
		t.Fatalf("files %q, want CURRENT and two segments", names)
	}
	for name, content := range image {
		for off := range content {
			damaged := vfs.NewMem()
			for n, c := range image {
				writeFile(t, damaged, n, c)
			}
			c := bytes.Clone(content)
			c[off] ^= 1 << (off % 8)
			writeFile(t, damaged, name, c)
			_, err := Open(damaged, Options{})
			var damage *corrupt.Error
			if !errors.As(err, &damage) || damage.File != name || damage.Offset > int64(off) {
				t.Fatalf("byte %d of %s flipped: Open = %v", off, name, err)
			}
		}
	}
}

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	return b
}

func writeFile(t testing.TB, fs vfs.FS, name string, content []byte) {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	_, err = f.WriteAt(content, 0)
	must(t, err)
}

func sampleEdits() []*Edit {
	ranged := table(300, "m", "q", 70000, 1<<55)
	ranged.Largest.Trailer = key.MaxTrailer
	return []*Edit{
		{Snapshot: true, NextFile: 1},
		{NextFile: 1000, FlushedSeq: key.MaxSeqNum, Log: 12,
			Deleted: nil, Added: []Added{{0, table(999, "", "\x00\xff", 0, 0)}, {6, ranged}}},
		{Deleted: []Deleted{{6, 300}, {0, 999}}},
		{},
	}
}

// The sample of each released version must stay readable, and what is written
// today must be the newest sample.
func TestGolden(t *testing.T) {
	golden(t, "testdata/manifest-v1.log", sampleEdits()[1:])
	golden(t, "testdata/manifest-v1-values.log", valueEdits())
	golden(t, "testdata/manifest-v1-times.log", timedEdits())
	golden(t, "testdata/manifest-v1-foreign.log", foreignEdits())
}

// foreignEdits add tables that were built outside, and one that was not; one of them moves.
func foreignEdits() []*Edit {
	a, b := table(2, "a", "f", 12, 12), table(3, "g", "k", 13, 13)
	a.Foreign, b.Foreign = 1<<64-1, 7
	b.OldestTime, b.NewestTime = 1, 2
	return []*Edit{
		{NextFile: 10, FlushedSeq: 13, Added: []Added{{0, a}, {0, table(1, "a", "b", 1, 4)}, {6, b}}},
		{Deleted: []Deleted{{0, 2}}, Added: []Added{{1, a}}},
	}
}

// A foreign table has one sequence number, which is not 0.
func TestForeignTablesHaveOneSeq(t *testing.T) {
	for _, seqs := range [][2]key.SeqNum{{0, 0}, {3, 4}} {
		foreign := table(1, "a", "b", seqs[0], seqs[1])
		foreign.Foreign = 9
		e := &Edit{NextFile: 2, FlushedSeq: 9, Added: []Added{{0, foreign}}}
		if _, err := decodeEdit(e.append(nil)); !errors.Is(err, errMalformed) {
			t.Errorf("a foreign table with sequence numbers %d: %v", seqs, err)
		}
	}
}

// timedEdits add tables of which it is known when they were written, and one of which
// it is not.
func timedEdits() []*Edit {
	young, old := table(3, "a", "f", 10, 19), table(2, "c", "k", 5, 9)
	young.OldestTime, young.NewestTime = 1_800_000_000_000_000_000, 1_800_000_060_000_000_000
	old.OldestTime, old.NewestTime = 1, 1
	return []*Edit{
		{NextFile: 10, FlushedSeq: 30, Added: []Added{{0, young}, {0, table(1, "a", "b", 1, 4)}, {0, old}}},
		{Deleted: []Deleted{{0, 1}}},
	}
}

func golden(t *testing.T, file string, edits []*Edit) {
	fs := vfs.NewMem()
	m, err := Create(fs, Options{}, State{})
	must(t, err)
	for _, e := range edits {
		_, err := m.Append(e)
		must(t, err)
	}
	must(t, m.Close())
	written := readFile(t, fs, "manifest-000001.log")
	base := strings.TrimSuffix(file, ".log")
	textFile := base + ".txt"
	if *update {
		must(t, os.WriteFile(file, written, 0o644))
	}
	golden, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(golden, written) {
		t.Errorf("the manifest is not written as in %s any more", file)
	}
	fs = vfs.NewMem()
	writeFile(t, fs, "m", golden)
	var out bytes.Buffer
	must(t, Inspect(fs, "m", &out))
	if *update {
		must(t, os.WriteFile(textFile, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(textFile)
	must(t, err)
	if out.String() != string(want) {
		t.Errorf("%s reads as\n%swant\n%s", file, &out, want)
	}
	if got, want := string(readFile(t, mustCreate(t), "CURRENT")), "stator-lsm 1 manifest 000001 crc32c 518c5046\n"; got != want {
		t.Errorf("CURRENT is %q, want %q", got, want)
	}
}

func mustCreate(t *testing.T) vfs.FS {
	fs := vfs.NewMem()
	_, err := Create(fs, Options{}, State{})
	must(t, err)
	return fs
}

// What decodes is exactly what was encoded.
func FuzzEdit(f *testing.F) {
	for _, e := range slices.Concat(sampleEdits(), valueEdits(), timedEdits(), foreignEdits()) {
		f.Add(e.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEdit(b)
		if err != nil {
			return
		}
		if got := e.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%x decodes to %s, which encodes to %x", b, e, got)
		}
		if _, err := (State{Version: &Version{}}).apply(e); err != nil && !errors.Is(err, errBadEdit) {
			t.Errorf("apply: %v", err)
		}
	})
}

func FuzzCurrent(f *testing.F) {
	f.Add(formatCurrent(1))
	f.Add(formatCurrent(1234567))
	f.Add("stator-lsm 1 manifest +00003 crc32c 0a1b2c3d\n")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := parseCurrent(text); ok && formatCurrent(id) != text {
			t.Errorf("%q passes as %d", text, id)
		}
	})
}
