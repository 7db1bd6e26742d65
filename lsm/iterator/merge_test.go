package iterator

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/lsm/key"
)

// TestScripts runs testdata: "sources" takes one source per line, "walk" moves
// through their merge.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := New()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "sources":
				var sources []Source
				for line := range strings.Lines(d.Input) {
					sources = append(sources, parseSource(t, d, line))
				}
				m = New(sources...)
				return ""
			case "walk":
				var out strings.Builder
				for line := range strings.Lines(d.Input) {
					out.WriteString(step(t, d, m, strings.Fields(line)))
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func parseSource(t *testing.T, d *datadriven.TestData, line string) *slice {
	var entries []entry
	failAt := 0
	for _, text := range strings.Fields(line) {
		if n, ok := strings.CutPrefix(text, "fail-at-move="); ok {
			failAt, _ = strconv.Atoi(n)
			continue
		}
		if text == "-" {
			continue
		}
		e, err := parseEntry(text)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		entries = append(entries, e)
	}
	s := newSlice(entries...)
	s.failAt = failAt
	return s
}

// step makes one move and prints where the merge then stands.
func step(t *testing.T, d *datadriven.TestData, m *Merge, words []string) string {
	var ok bool
	switch words[0] {
	case "first":
		ok = m.First()
	case "last":
		ok = m.Last()
	case "next":
		ok = m.Next()
	case "prev":
		ok = m.Prev()
	case "seek-ge":
		seq := key.MaxSeqNum
		user, at, bounded := strings.Cut(words[1], "@")
		if bounded {
			n, _ := strconv.ParseUint(at, 10, 56)
			seq = key.SeqNum(n)
		}
		ok = m.SeekGE([]byte(user), seq)
	case "seek-lt":
		ok = m.SeekLT([]byte(words[1]))
	default:
		d.Fatalf(t, "unknown move %s", words[0])
	}
	return fmt.Sprintf("%-12s %s\n", strings.Join(words, " "), position(m, ok))
}

func position(s Source, ok bool) string {
	switch {
	case ok:
		user, trailer := s.Key()
		return key.Internal{User: user, Trailer: trailer}.String() + "=" + string(s.Value())
	case s.Err() != nil:
		return "error: " + s.Err().Error()
	}
	return "."
}

// TestModel moves a merge and the sorted union of its sources in step.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		sources, union := randomSources(rng)
		for i, s := range sources {
			if rng.IntN(2) == 0 {
				sources[i] = skipping{s.(*slice)}
			}
		}
		m, model := New(sources...), newSlice(union...)
		var trace []string
		for range 60 {
			name, got, want := randomMove(rng, m, model)
			trace = append(trace, name)
			if g, w := position(m, got), position(model, want); g != w {
				t.Fatalf("seed %d: %d sources, %d entries, moves %v: got %s, want %s",
					seed, len(sources), len(union), trace, g, w)
			}
		}
	}
}

// randomSources deals entries with few distinct user keys, so that versions of
// one key spread over sources, in runs, so that winners repeat.
func randomSources(rng *rand.Rand) (sources []Source, union []entry) {
	n := rng.IntN(9)
	parts := make([][]entry, n)
	for seq := range rng.IntN(60) {
		if n == 0 {
			break
		}
		e := entry{value: strconv.Itoa(seq)}
		e.User = fmt.Appendf(nil, "%02d", rng.IntN(20))
		e.Trailer = key.MakeTrailer(key.SeqNum(seq), key.Kind(rng.IntN(2)))
		home := rng.IntN(n)
		if rng.IntN(2) == 0 {
			home = int(e.User[0]) % n
		}
		parts[home] = append(parts[home], e)
		union = append(union, e)
	}
	for _, p := range parts {
		sources = append(sources, newSlice(p...))
	}
	return sources, union
}

func randomMove(rng *rand.Rand, m, model Source) (name string, got, want bool) {
	user := fmt.Appendf(nil, "%02d", rng.IntN(22))
	seq := key.SeqNum(rng.IntN(60))
	switch rng.IntN(14) {
	case 13:
		return "skip-back", skipAll(m, func() bool { return m.(*Merge).SkipBack(seq) }), skipAll(model, func() bool { return unplaced(model, model.Prev, model.Last) })
	case 12:
		return "skip", skipAll(m, m.(*Merge).Skip), skipAll(model, func() bool { return unplaced(model, model.Next, model.First) })
	case 0:
		return "first", m.First(), model.First()
	case 1:
		return "last", m.Last(), model.Last()
	case 2:
		return fmt.Sprintf("seek-ge %s@%d", user, seq), m.SeekGE(user, seq), model.SeekGE(user, seq)
	case 3:
		return fmt.Sprintf("seek-lt %s", user), m.SeekLT(user), model.SeekLT(user)
	case 4, 5, 6, 7:
		return "next", m.Next(), unplaced(model, model.Next, model.First)
	}
	return "prev", m.Prev(), unplaced(model, model.Prev, model.Last)
}

// skipAll calls skip until the user key is another one.
func skipAll(s Source, skip func() bool) bool {
	var user []byte
	stands := s.(interface{ stands() bool }).stands()
	if stands {
		u, _ := s.Key()
		user = bytes.Clone(u)
	}
	ok := skip()
	for ok && stands {
		if u, _ := s.Key(); !bytes.Equal(u, user) {
			break
		}
		ok = skip()
	}
	return ok
}

func (m *Merge) stands() bool {
	_, ok := m.winner()
	return ok && m.placed
}

func (s *slice) stands() bool { return s.moves > 0 && s.at >= 0 && s.at < len(s.entries) }

// unplaced makes the model's first move absolute, as a Merge does by itself.
func unplaced(model Source, step, absolute func() bool) bool {
	if model.(*slice).moves == 0 {
		return absolute()
	}
	return step()
}

// TestFailingSource: wherever a source fails, the merge stops with its error
// and never goes on as if that source were exhausted.
func TestFailingSource(t *testing.T) {
	for failAt := 1; failAt <= 12; failAt++ {
		healthy := newSlice(letters("acegik")...)
		failing := newSlice(letters("bdfhjl")...)
		failing.failAt = failAt
		m := New(healthy, failing)
		ok := m.First()
		for range 3 { // forward, then back, then forward again
			for i := 0; ok && i < 5; i++ {
				ok = m.Next()
			}
			for i := 0; ok && i < 3; i++ {
				ok = m.Prev()
			}
		}
		if ok || !errors.Is(m.Err(), errBroken) {
			t.Fatalf("failAt %d: ok %v, err %v", failAt, ok, m.Err())
		}
		if m.Next() || m.Prev() || m.Err() == nil {
			t.Fatalf("failAt %d: a failed merge moved on", failAt)
		}
		failing.failAt = 0
		if !m.SeekGE([]byte("d"), key.MaxSeqNum) || m.Err() != nil {
			t.Fatalf("failAt %d: an absolute move did not recover: %v", failAt, m.Err())
		}
	}
}

func letters(text string) []entry {
	var out []entry
	for i, c := range text {
		out = append(out, entry{
			Internal: key.Internal{User: []byte(string(c)), Trailer: key.MakeTrailer(key.SeqNum(i), key.Set)},
		})
	}
	return out
}

// TestLateEntries: a source that others write to may grow behind the merge's
// back; order must hold all the same when the direction switches.
func TestLateEntries(t *testing.T) {
	memtable, table := newSlice(letters("az")...), newSlice(letters("cgk")...)
	m := New(memtable, table)
	m.SeekGE([]byte("g"), key.MaxSeqNum)
	late := letters("bdfh")
	memtable.entries = append([]entry{memtable.entries[0]}, append(late, memtable.entries[1])...)
	memtable.at = len(memtable.entries) - 1 // still on z
	if m.Prev(); position(m, true)[0] != 'f' {
		t.Errorf("Prev after g: at %s", position(m, true))
	}
	prev := "f"
	for m.Prev() {
		user, _ := m.Key()
		if string(user) >= prev {
			t.Errorf("went back from %s to %s", prev, user)
		}
		prev = string(user)
	}
}

// TestTies: equal internal keys come out in the order of the sources, mirrored
// in reverse.
func TestTies(t *testing.T) {
	same := func(value string) *slice {
		e := letters("k")
		e[0].value = value
		return newSlice(e...)
	}
	m := New(same("0"), same("1"), same("2"))
	var forward, backward string
	for ok := m.First(); ok; ok = m.Next() {
		forward += string(m.Value())
	}
	for ok := m.Prev(); ok; ok = m.Prev() {
		backward += string(m.Value())
	}
	if forward != "012" || backward != "210" {
		t.Errorf("forward %s, backward %s", forward, backward)
	}
}

func TestCloseClosesAll(t *testing.T) {
	a, b := newSlice(), newSlice()
	m := New(a, b)
	if err := m.Close(); err != nil || !a.closed || !b.closed {
		t.Errorf("Close = %v, closed %v %v", err, a.closed, b.closed)
	}
	m.Init(newSlice(letters("x")...))
	if !m.First() || m.Next() {
		t.Error("a closed merge could not be used again")
	}
}

func TestMovesAllocateNothing(t *testing.T) {
	m := New(manySources(8, 1000, 1)...)
	m.First()
	target := []byte("00000500")
	if n := testing.AllocsPerRun(100, func() {
		m.SeekGE(target, key.MaxSeqNum)
		for range 10 {
			m.Next()
		}
		for range 10 {
			m.Prev()
		}
		m.SeekLT(target)
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

// manySources deals total entries round robin in runs of run neighbours.
func manySources(n, total, run int) []Source {
	parts := make([][]entry, n)
	for i := range total {
		e := entry{Internal: key.Internal{User: fmt.Appendf(nil, "%08d", i), Trailer: key.MakeTrailer(1, key.Set)}}
		p := i / run % n
		parts[p] = append(parts[p], e)
	}
	var out []Source
	for _, p := range parts {
		out = append(out, newSlice(p...))
	}
	return out
}

// BenchmarkMergeNext measures one step over 1, 2 and 8 sources, whose entries
// alternate (run=1) or come in runs.
func BenchmarkMergeNext(b *testing.B) {
	for _, n := range []int{1, 2, 8} {
		for _, run := range []int{1, 100} {
			b.Run(fmt.Sprintf("sources=%d/run=%d", n, run), func(b *testing.B) {
				m := New(manySources(n, 100_000, run)...)
				m.First()
				for b.Loop() {
					if !m.Next() {
						m.First()
					}
				}
			})
		}
	}
}
