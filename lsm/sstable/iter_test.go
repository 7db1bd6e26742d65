package sstable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/lsm/key"
)

// TestScripts runs testdata/scripts: "build" makes a table of the entries given
// and prints its blocks, "walk" moves an iterator through it, "get" reads keys.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		var r *Reader
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "build":
				r = scriptTable(t, d)
				var out strings.Builder
				if err := r.Describe(&out); err != nil {
					return err.Error()
				}
				return out.String()
			case "walk":
				return scriptWalk(t, d, r)
			case "get":
				return scriptGet(t, d, r)
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func scriptTable(t *testing.T, d *datadriven.TestData) *Reader {
	o := Options{Number: 7}
	var codec string
	d.MaybeScanArgs(t, "block-bytes", &o.BlockBytes)
	d.MaybeScanArgs(t, "filter-bits", &o.FilterBitsPerKey)
	if d.MaybeScanArgs(t, "codec", &codec); codec == "s2" {
		o.Compression = S2
	}
	var c content
	for _, word := range strings.Fields(d.Input) {
		k, value, _ := strings.Cut(word, "=")
		user, rest, ok := strings.Cut(k, "#")
		if !ok {
			d.Fatalf(t, "%q has no #", word)
		}
		seqText, kind, _ := strings.Cut(rest, ",")
		seq, err := strconv.ParseUint(seqText, 10, 56)
		if err != nil {
			d.Fatalf(t, "%q: %v", word, err)
		}
		switch kind {
		case "DEL":
			c.entries = append(c.entries, point(user, key.SeqNum(seq), key.Delete, ""))
		case "RANGEDEL":
			c.deletes = append(c.deletes, RangeDelete{[]byte(user), []byte(value), key.SeqNum(seq)})
		default:
			c.entries = append(c.entries, point(user, key.SeqNum(seq), key.Set, value))
		}
	}
	return build(t, c, o)
}

func scriptWalk(t *testing.T, d *datadriven.TestData, r *Reader) string {
	var lower, upper string
	d.MaybeScanArgs(t, "lower", &lower)
	d.MaybeScanArgs(t, "upper", &upper)
	it := r.NewIter(bound(lower), bound(upper))
	var out strings.Builder
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		ok := move(t, d, it, words)
		fmt.Fprintf(&out, "%-12s %s\n", strings.Join(words, " "), where(it, ok))
	}
	return out.String()
}

func bound(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

func move(t *testing.T, d *datadriven.TestData, it *Iter, words []string) bool {
	switch words[0] {
	case "first":
		return it.First()
	case "last":
		return it.Last()
	case "next":
		return it.Next()
	case "prev":
		return it.Prev()
	case "seek-ge":
		user, seq := scriptKey(t, d, words[1])
		return it.SeekGE(user, seq)
	case "seek-lt":
		return it.SeekLT([]byte(words[1]))
	}
	d.Fatalf(t, "unknown move %s", words[0])
	return false
}

// scriptKey reads "user" or "user@seq".
func scriptKey(t *testing.T, d *datadriven.TestData, text string) ([]byte, key.SeqNum) {
	user, at, ok := strings.Cut(text, "@")
	if !ok {
		return []byte(user), key.MaxSeqNum
	}
	seq, err := strconv.ParseUint(at, 10, 56)
	if err != nil {
		d.Fatalf(t, "%q: %v", text, err)
	}
	return []byte(user), key.SeqNum(seq)
}

func where(it *Iter, ok bool) string {
	switch {
	case ok:
		user, trailer := it.Key()
		return entry{key.Internal{User: user, Trailer: trailer}, it.Value()}.String()
	case it.Err() != nil:
		return "error: " + it.Err().Error()
	}
	return "."
}

func scriptGet(t *testing.T, d *datadriven.TestData, r *Reader) string {
	var out strings.Builder
	for line := range strings.Lines(d.Input) {
		text := strings.TrimSpace(line)
		user, seq := scriptKey(t, d, text)
		value, trailer, found, err := r.Get(user, seq)
		switch {
		case err != nil:
			fmt.Fprintf(&out, "%-12s error: %v\n", text, err)
		case !found:
			fmt.Fprintf(&out, "%-12s not found\n", text)
		default:
			fmt.Fprintf(&out, "%-12s %v\n", text, entry{key.Internal{User: user, Trailer: trailer}, value})
		}
	}
	return out.String()
}

// A model is an Iter over a slice.
type model struct {
	entries []entry // within the bounds
	at      int     // -1 before the first, len behind the last
}

func newModel(entries []entry, lower, upper []byte) *model {
	m := &model{at: -1}
	for _, e := range entries {
		if (lower == nil || bytes.Compare(e.User, lower) >= 0) && (upper == nil || bytes.Compare(e.User, upper) < 0) {
			m.entries = append(m.entries, e)
		}
	}
	return m
}

func (m *model) moveTo(i int) string {
	m.at = min(max(i, -1), len(m.entries))
	if m.at < 0 || m.at == len(m.entries) {
		return "."
	}
	return m.entries[m.at].String()
}

func (m *model) seek(target key.Internal) int {
	i, _ := slices.BinarySearchFunc(m.entries, target, func(e entry, k key.Internal) int { return e.Compare(k) })
	return i
}

// TestModel moves iterators with and without bounds, and a slice, in step.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for k, o := range allOptions() {
		for _, s := range shapes {
			t.Run(optionsName(o)+"/"+s.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(k)))
				c := randomContent(rng, s, rng.IntN(150))
				r := build(t, c, o)
				for range 8 {
					compareWalk(t, rng, r, c, s, seed)
				}
			})
		}
	}
}

func compareWalk(t *testing.T, rng *rand.Rand, r *Reader, c content, s shape, seed uint64) {
	t.Helper()
	anyUser := func() []byte {
		if n := len(c.entries); n > 0 && rng.IntN(2) == 0 {
			return c.entries[rng.IntN(n)].User
		}
		return s.user(rng)
	}
	var lower, upper []byte
	if rng.IntN(2) == 0 {
		lower = anyUser()
	}
	if rng.IntN(2) == 0 {
		upper = anyUser() // perhaps below lower: then there is nothing
	}
	it, m := r.NewIter(lower, upper), newModel(c.entries, lower, upper)
	var trace []string
	for range 80 {
		var name, got, want string
		switch rng.IntN(14) {
		case 0:
			name, got, want = "first", where(it, it.First()), m.moveTo(0)
		case 1:
			name, got, want = "last", where(it, it.Last()), m.moveTo(len(m.entries)-1)
		case 2, 3:
			user, seq := anyUser(), key.SeqNum(rng.IntN(1<<(1+rng.IntN(30))))
			name = fmt.Sprintf("seek-ge %s@%d", key.Format(user), seq)
			got = where(it, it.SeekGE(user, seq))
			want = m.moveTo(m.seek(key.Internal{User: user, Trailer: key.SeekTrailer(seq)}))
		case 4, 5:
			user := anyUser()
			name = "seek-lt " + key.Format(user)
			got = where(it, it.SeekLT(user))
			want = m.moveTo(m.seek(key.Internal{User: user, Trailer: key.MaxTrailer}) - 1)
		case 6, 7, 8, 9:
			name, got, want = "next", where(it, it.Next()), m.moveTo(m.at+1)
		default:
			if m.at < 0 && len(trace) == 0 {
				continue // Prev of a new iterator means nothing
			}
			name, got, want = "prev", where(it, it.Prev()), m.moveTo(m.at-1)
		}
		trace = append(trace, name)
		if got != want {
			t.Fatalf("seed %d: bounds [%s, %s), %d entries, moves %v: got %s, want %s",
				seed, key.Format(lower), key.Format(upper), len(m.entries), trace, got, want)
		}
	}
}

// TestAllocations: reads in place allocate nothing, the first touch of a block
// included.
func TestAllocations(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	c := randomContent(rng, shapes[0], 5000)
	b, _ := mustWrite(t, c, Options{})
	r := mustOpen(t, b)
	r.Get([]byte("x"), 1) // loads the filter
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		e := &c.entries[i*7919%len(c.entries)]
		i++
		if _, _, found, err := r.Get(e.User, key.MaxSeqNum); !found || err != nil {
			t.Fatal(found, err)
		}
		if _, _, found, err := r.Get(e.User[1:], key.MaxSeqNum); found || err != nil {
			t.Fatal(found, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per pair of Gets", n)
	}
	r = mustOpen(t, b)
	lower, upper := []byte("1"), []byte("e")
	it := r.NewIter(lower, upper)
	it.First()
	if n := testing.AllocsPerRun(500, func() {
		it.SeekGE(c.entries[i*7919%len(c.entries)].User, key.MaxSeqNum)
		i++
		for range 50 {
			it.Next()
		}
		for range 50 {
			it.Prev()
		}
		it.SeekLT(c.entries[i].User)
		it.Close()
		it.Init(r, lower, upper)
	}); n != 0 {
		t.Errorf("%v allocations per walk", n)
	}
}

// TestConcurrentReaders: any number of readers may touch a fresh table.
func TestConcurrentReaders(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	c := randomContent(rng, shapes[2], 1000)
	for _, o := range smallOptions() {
		b, _ := mustWrite(t, c, o)
		r := mustOpen(t, b)
		var readers sync.WaitGroup
		for k := range 4 {
			readers.Go(func() {
				for i := range c.entries {
					e := &c.entries[(i*31+k*97)%len(c.entries)]
					value, _, found, err := r.Get(e.User, e.Trailer.SeqNum())
					if !found || err != nil || !bytes.Equal(value, e.value) {
						t.Errorf("Get(%v) = %q, %v, %v", e.Internal, value, found, err)
						return
					}
				}
				n, it := 0, r.NewIter(nil, nil)
				for ok := it.First(); ok; ok = it.Next() {
					n++
				}
				if n != len(c.entries) {
					t.Errorf("scan found %d entries, want %d", n, len(c.entries))
				}
			})
		}
		readers.Wait()
	}
}
