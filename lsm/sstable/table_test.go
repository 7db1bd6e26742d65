package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/key"
)

// An entry is one internal key with its value.
type entry struct {
	key.Internal
	value []byte
}

func (e entry) String() string { return e.Internal.String() + "=" + key.Format(e.value) }

func point(user string, seq key.SeqNum, kind key.Kind, value string) entry {
	return entry{
		Internal: key.Internal{User: []byte(user), Trailer: key.MakeTrailer(seq, kind)},
		value:    []byte(value),
	}
}

// A content is what goes into a table.
type content struct {
	entries []entry // sorted
	deletes []RangeDelete
}

const testName = "000007.sst"

// writeTable writes c into a new file.
func writeTable(fs vfs.FS, c content, o Options) (Meta, error) {
	f, err := fs.Create(testName)
	if err != nil {
		return Meta{}, err
	}
	meta, err := fill(f, c, o)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return meta, err
}

func fill(f vfs.File, c content, o Options) (Meta, error) {
	w := NewWriter(f, o)
	if err := addAll(w, c); err != nil {
		return Meta{}, err
	}
	return w.Finish()
}

func addAll(w *Writer, c content) error {
	for _, e := range c.entries {
		if err := w.Add(e.User, e.Trailer, e.value); err != nil {
			return err
		}
		if e.Trailer.Kind() == key.Set {
			var tags facet.Tags
			testFacets(e.User, e.value, &tags)
			w.Tag(&tags)
		}
	}
	for _, d := range c.deletes {
		if err := w.AddRangeDelete(d.Start, d.End, d.Seq); err != nil {
			return err
		}
	}
	return nil
}

// mustWrite returns the bytes of a table of c.
func mustWrite(t testing.TB, c content, o Options) ([]byte, Meta) {
	t.Helper()
	fs := vfs.NewMem()
	meta, err := writeTable(fs, c, o)
	if err != nil {
		t.Fatal(err)
	}
	b := readFile(t, fs)
	if uint64(len(b)) != meta.Size {
		t.Fatalf("file has %d bytes, Finish says %d", len(b), meta.Size)
	}
	return b, meta
}

func readFile(t testing.TB, fs vfs.FS) []byte {
	t.Helper()
	f, err := fs.Open(testName)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// A memory is a mapping over bytes at hand.
type memory []byte

func (m memory) Bytes() []byte { return m }
func (m memory) Size() int64   { return int64(len(m)) }
func (m memory) Release()      {}

func (m memory) View(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > int64(len(m)) || int64(n) > int64(len(m))-off {
		return nil, fmt.Errorf("view of %d bytes at %d of %d", n, off, len(m))
	}
	return m[off : off+int64(n) : off+int64(n)], nil
}

// A plainFile is an open file over bytes at hand.
type plainFile struct {
	vfs.File
	b []byte
}

func (f plainFile) Size() (int64, error) { return int64(len(f.b)), nil }
func (f plainFile) Close() error         { return nil }

func (f plainFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(p, off)
}

// unmapped is b as a file that is read.
func unmapped(t testing.TB, b []byte) vfs.Mapping {
	m, err := vfs.ReadMapping(plainFile{b: b})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustOpen(t testing.TB, b []byte) *Reader {
	t.Helper()
	r, err := Open(memory(b), testName, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func build(t testing.TB, c content, o Options) *Reader {
	t.Helper()
	b, _ := mustWrite(t, c, o)
	r := mustOpen(t, b)
	if err := r.Verify(); err != nil {
		t.Fatalf("Verify of a fresh table: %v", err)
	}
	return r
}

// isDamage reports whether err is a *corrupt.Error that names our file.
func isDamage(err error) bool {
	var damage *corrupt.Error
	return errors.As(err, &damage) && damage.File == testName
}

// A shape makes keys of one kind of distribution.
type shape struct {
	name string
	user func(rng *rand.Rand) []byte
}

// shapes are distributions that stress different parts of prefix and head:
// hashes, dense counters, rows of a real table, few long collections, keys that
// are prefixes of each other, keys that differ only far behind the window, keys
// whose lengths differ by more than a byte can say.
var shapes = []shape{
	{"hash", func(rng *rand.Rand) []byte { return fmt.Appendf(nil, "%016x", rng.Uint64()) }},
	{"counter", func(rng *rand.Rand) []byte { return fmt.Appendf(nil, "%016d", rng.IntN(5000)) }},
	{"row", func(rng *rand.Rand) []byte {
		k := []byte{0x10, 0, 0, 0, byte(1 + rng.IntN(2)), 0}
		pk := rng.IntN(100)
		k = fmt.Appendf(k, "%08x/user-%d/", pk*0x9E3779B1, pk)
		return fmt.Appendf(k, "order#%04d", rng.IntN(200))
	}},
	{"collection", func(rng *rand.Rand) []byte {
		return fmt.Appendf(nil, "the one and only long partition key %06d", rng.IntN(3000))
	}},
	{"nested", func(rng *rand.Rand) []byte { return bytes.Repeat([]byte{'a'}, rng.IntN(300)) }},
	{"tail", func(rng *rand.Rand) []byte {
		return fmt.Appendf(nil, "%d----------------%d", rng.IntN(3), rng.IntN(1000))
	}},
	{"long", func(rng *rand.Rand) []byte {
		return append([]byte{byte('a' + rng.IntN(26))}, bytes.Repeat([]byte{'x'}, rng.IntN(700))...)
	}},
	{"binary", func(rng *rand.Rand) []byte {
		k := make([]byte, rng.IntN(5))
		for i := range k {
			k[i] = byte(rng.IntN(3)) * 127
		}
		return k
	}},
}

// randomContent makes about n entries of a shape, some with several versions.
func randomContent(rng *rand.Rand, s shape, n int) content {
	var c content
	for range n {
		user := s.user(rng)
		versions := 1
		if rng.IntN(8) == 0 {
			versions += rng.IntN(20)
		}
		for range versions {
			seq := key.SeqNum(rng.IntN(1 << (1 + rng.IntN(30))))
			size := rng.IntN(20)
			if rng.IntN(50) == 0 {
				size = rng.IntN(2000)
			}
			value := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, size)
			c.entries = append(c.entries, entry{
				Internal: key.Internal{User: user, Trailer: key.MakeTrailer(seq, key.Kind(rng.IntN(2)))},
				value:    value,
			})
		}
	}
	sortEntries(c.entries)
	c.entries = slices.CompactFunc(c.entries, func(a, b entry) bool {
		return bytes.Equal(a.User, b.User) && a.Trailer.SeqNum() == b.Trailer.SeqNum()
	})
	return c
}

func sortEntries(entries []entry) {
	slices.SortFunc(entries, func(a, b entry) int { return a.Compare(b.Internal) })
}

// allOptions are the combinations of features that tests run through.
func allOptions() []Options {
	var all []Options
	for _, blockBytes := range []int{0, 1, 200, 1000} {
		for _, compression := range []Compression{None, S2, Zstd, ZstdDict} {
			for _, bits := range []int{0, -1} {
				all = append(all, Options{
					Number: 7, BlockBytes: blockBytes, Compression: compression, FilterBitsPerKey: bits,
				})
			}
		}
	}
	return all
}

func optionsName(o Options) string {
	return fmt.Sprintf("block=%d/codec=%v/filter=%d%s", o.BlockBytes, o.Compression, o.FilterBitsPerKey, o.Facets)
}

// TestRoundTrip writes tables of every shape and finds every version of every
// key again, in each direction and by Get.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, o := range allOptions() {
		for k, s := range shapes {
			t.Run(optionsName(o)+"/"+s.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, uint64(100*i+k)))
				c := randomContent(rng, s, 1+rng.IntN(300))
				r := build(t, c, o)
				checkScan(t, r, c)
				checkGets(t, rng, r, c, s)
			})
		}
	}
}

func checkScan(t *testing.T, r *Reader, c content) {
	t.Helper()
	it := r.NewIter(nil, nil)
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		if i < len(c.entries) {
			checkEntry(t, it, c.entries[i])
		}
		i++
	}
	if i != len(c.entries) || it.Err() != nil {
		t.Fatalf("forward: %d entries, want %d (%v)", i, len(c.entries), it.Err())
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		if i--; i >= 0 {
			checkEntry(t, it, c.entries[i])
		}
	}
	if i != 0 || it.Err() != nil {
		t.Fatalf("backward: %d entries left of %d (%v)", i, len(c.entries), it.Err())
	}
}

func checkEntry(t *testing.T, it *Iter, want entry) {
	t.Helper()
	user, trailer := it.Key()
	got := entry{Internal: key.Internal{User: user, Trailer: trailer}, value: it.Value()}
	if got.Compare(want.Internal) != 0 || !bytes.Equal(got.value, want.value) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// checkGets asks for keys present and absent, at random sequence numbers.
func checkGets(t *testing.T, rng *rand.Rand, r *Reader, c content, s shape) {
	t.Helper()
	for range 500 {
		user, seq := s.user(rng), key.MaxSeqNum
		if n := len(c.entries); n > 0 && rng.IntN(3) > 0 {
			e := c.entries[rng.IntN(n)]
			user, seq = e.User, e.Trailer.SeqNum()+key.SeqNum(rng.IntN(2))
			if rng.IntN(3) == 0 {
				seq = key.SeqNum(rng.IntN(int(e.Trailer.SeqNum()) + 1))
			}
		}
		checkGet(t, r, c, user, seq)
	}
	for _, user := range []string{"", "\x00", "\xff\xff\xff", "zz", "0"} {
		checkGet(t, r, c, []byte(user), key.MaxSeqNum)
	}
}

func checkGet(t *testing.T, r *Reader, c content, user []byte, seq key.SeqNum) {
	t.Helper()
	var want *entry
	for i, e := range c.entries {
		if bytes.Equal(e.User, user) && e.Trailer.SeqNum() <= seq {
			want = &c.entries[i]
			break
		}
	}
	value, trailer, found, err := r.Get(user, seq)
	switch {
	case err != nil:
		t.Fatalf("Get(%s, %d): %v", key.Format(user), seq, err)
	case found != (want != nil):
		t.Fatalf("Get(%s, %d) found = %v, want %v", key.Format(user), seq, found, want)
	case found && (trailer != want.Trailer || !bytes.Equal(value, want.value)):
		t.Fatalf("Get(%s, %d) = %v, %v; want %v", key.Format(user), seq, trailer, value, want)
	}
}

// Filters count what they do, for one key of many.
func TestFilterStats(t *testing.T) {
	var c content
	for i := range 2000 {
		c.entries = append(c.entries, point(fmt.Sprintf("key%06d", i), 1, key.Set, "v"))
	}
	b, _ := mustWrite(t, c, Options{})
	r := mustOpen(t, b)
	defer r.Close()
	const n = 64 * 500
	for i := range n {
		for _, k := range []string{fmt.Sprintf("key%06d", i%2000), fmt.Sprintf("no%06d", i)} {
			if _, _, _, err := r.Get([]byte(k), key.MaxSeqNum); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := r.pool.FilterStats()
	if s.Asked < n || s.Asked > 4*n || s.RuledOut < n/2 || s.RuledOut > 2*n || s.FalsePositives() > 0.05 {
		t.Errorf("%d lookups of keys that are there and as many of others: %+v", n, s)
	}
}
