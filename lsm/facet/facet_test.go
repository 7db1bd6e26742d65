package facet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

func tagsOf(list ...string) *Tags {
	t := &Tags{}
	for _, tag := range list {
		t.Add([]byte(tag))
	}
	return t
}

func has(tag string) Expr { return Has([]byte(tag)) }

func TestMatch(t *testing.T) {
	tags := tagsOf("red", "old", "")
	for _, c := range []struct {
		x    Expr
		text string
		want bool
	}{
		{Expr{}, "all", true},
		{And(), "all", true},
		{Or(), "none", false},
		{has("red"), "red", true},
		{has("re"), "re", false},
		{has(""), "", true},
		{Not(has("red")), "!red", false},
		{And(has("red"), has("old")), "red & old", true},
		{And(has("red"), Not(has("old"))), "red & !old", false},
		{Or(has("blue"), And(has("red"), has("new"))), "blue | (red & new)", false},
		{Not(Or(has("blue"), has("new"))), "!(blue | new)", true},
	} {
		if got := c.x.Match(tags); got != c.want || c.x.String() != c.text {
			t.Errorf("%v = %v, want %v %q", c.x, got, c.want, c.text)
		}
	}
}

func TestAddPair(t *testing.T) {
	tags := tagsOf("a")
	tags.AddPair("color=", []byte("red"))
	if tags.Len() != 2 || string(tags.At(0)) != "a" || string(tags.At(1)) != "color=red" {
		t.Errorf("tags %q %q", tags.At(0), tags.At(1))
	}
}

// randomRows gives each of n rows some tags: rare and frequent ones, runs, and some that
// are too long to be kept.
func randomRows(rng *rand.Rand, n int) []*Tags {
	rows := make([]*Tags, n)
	for i := range rows {
		t := &Tags{}
		rows[i] = t
		for i, tag := range []string{"half", "tenth", "rare"} {
			if rng.IntN([]int{2, 10, 1000}[i]) == 0 {
				t.Add([]byte(tag))
			}
		}
		t.Add(fmt.Appendf(nil, "run%d", i/1000%7))
		if rng.IntN(50) == 0 {
			t.Add([]byte(strings.Repeat("x", MaxTagBytes+1+rng.IntN(2))))
		}
		if rng.IntN(3) == 0 {
			t.Add(t.At(0)) // twice
		}
	}
	return rows
}

func randomExpr(rng *rand.Rand, depth int) Expr {
	leaves := []string{"half", "tenth", "rare", "run0", "run3", "absent", strings.Repeat("x", MaxTagBytes+1)}
	n := rng.IntN(6)
	if depth == 0 || n < 3 {
		return has(leaves[rng.IntN(len(leaves))])
	}
	if n == 3 {
		return Not(randomExpr(rng, depth-1))
	}
	args := make([]Expr, rng.IntN(4))
	for i := range args {
		args[i] = randomExpr(rng, depth-1)
	}
	if n == 4 {
		return And(args...)
	}
	return Or(args...)
}

func build(rows []*Tags) *Builder {
	b := &Builder{}
	for i, tags := range rows {
		b.Add(uint32(i), tags)
	}
	return b
}

func encode(t testing.TB, b *Builder, rows int) []byte {
	t.Helper()
	payload, err := b.Append(nil, "test", uint32(rows))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestSelect compares bitmaps, stored and in memory, with Match on each row: what is
// sure matches, what is ruled out does not, and only incomplete rows are in between.
func TestSelect(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 60, 5000, 200_000} {
		rows := randomRows(rng, n)
		b := build(rows)
		s, reason := Parse(encode(t, b, n), uint64(n))
		if reason != "" {
			t.Fatal(reason)
		}
		if err := s.Equal(b); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			x := randomExpr(rng, 3)
			stored, err := x.Select(uint32(n), s.Find)
			if err != nil {
				t.Fatal(err)
			}
			checkSelection(t, x, stored, rows)
			memory, _ := x.Select(uint32(n), func(tag []byte) (Selection, error) {
				rows, maybe := b.Lists(tag)
				return SelectionOf(rows, maybe, uint32(n)), nil
			})
			if !memory.May.Equals(stored.May) || !memory.Sure.Equals(stored.Sure) {
				t.Fatalf("%v: in memory %d to %d rows, stored %d to %d", x, memory.Sure.GetCardinality(),
					memory.May.GetCardinality(), stored.Sure.GetCardinality(), stored.May.GetCardinality())
			}
		}
	}
}

func checkSelection(t *testing.T, x Expr, s Selection, rows []*Tags) {
	t.Helper()
	for i, tags := range rows {
		row, want := uint32(i), x.Match(tags)
		switch sure, may := s.Sure.Contains(row), s.May.Contains(row); {
		case sure && !may, sure && !want, want && !may:
			t.Fatalf("%v: row %d: sure %v, may %v, matches %v", x, i, sure, may, want)
		case may != sure && isKept(tags):
			t.Fatalf("%v: row %d is in doubt", x, i)
		}
	}
	if s.May.GetCardinality() > 0 && s.May.Maximum() >= uint32(len(rows)) {
		t.Fatalf("%v: row %d of %d", x, s.May.Maximum(), len(rows))
	}
}

// isKept reports whether all tags are short enough to be kept.
func isKept(tags *Tags) bool {
	for i := range tags.Len() {
		if len(tags.At(i)) > MaxTagBytes {
			return false
		}
	}
	return true
}

// TestTooManyTags: what a table does not keep makes rows incomplete, not wrong.
func TestTooManyTags(t *testing.T) {
	var rows []*Tags
	for i := range MaxTags + 100 {
		rows = append(rows, tagsOf("all", fmt.Sprint("n", i)))
	}
	b := build(rows)
	s, reason := Parse(encode(t, b, len(rows)), uint64(len(rows)))
	if reason != "" || s.Tags() != MaxTags || s.Incomplete() != 101 {
		t.Fatalf("%s, %d tags, %d incomplete", reason, s.Tags(), s.Incomplete())
	}
	for _, c := range []struct {
		tag       string
		sure, may uint64
	}{{"all", 4196, 4196}, {"n5", 1, 1}, {"n4190", 0, 101}, {"absent", 0, 101}} {
		got, err := s.Find([]byte(c.tag))
		if err != nil || got.Sure.GetCardinality() != c.sure || got.May.GetCardinality() != c.may {
			t.Errorf("%s: %d to %d rows, %v", c.tag, got.Sure.GetCardinality(), got.May.GetCardinality(), err)
		}
	}
	sum := uint32(0)
	for _, n := range s.Counts() {
		sum += n
	}
	if sum != uint32(len(rows)+MaxTags-1) {
		t.Errorf("counts add up to %d", sum)
	}
}

func TestLongName(t *testing.T) {
	if _, err := (&Builder{}).Append(nil, strings.Repeat("n", MaxNameBytes+1), 0); err == nil {
		t.Error("a name too long was accepted")
	}
}

// TestCheckBitmap: what the library writes passes, containers of each kind, and every
// bitmap that differs in one byte passes only if the library's own check agrees.
func TestCheckBitmap(t *testing.T) {
	b := roaring.BitmapOf(1, 2, 3, 70_000)
	b.AddRange(1<<17, 1<<17+3000) // a run
	for row := uint32(4 << 16); row < 5<<16; row += 2 {
		b.Add(row) // bits
	}
	for _, runs := range []bool{false, true} {
		if runs {
			b.RunOptimize()
		}
		encoded, err := b.ToBytes()
		if err != nil {
			t.Fatal(err)
		}
		rows, count := b.Maximum()+1, b.GetCardinality()
		if reason := checkBitmap(encoded, rows, count); reason != "" {
			t.Errorf("a sound bitmap: %s", reason)
		}
		if checkBitmap(encoded, rows-1, count) == "" || checkBitmap(encoded, rows, count+1) == "" {
			t.Error("a bitmap that is too long passes")
		}
		for i := range min(len(encoded), 400) {
			if checkBitmap(encoded[:i], rows, count) == "" {
				t.Errorf("%d of %d bytes pass", i, len(encoded))
			}
			for bit := range 8 {
				encoded[i] ^= 1 << bit
				checkAgainstLibrary(t, encoded, rows, count)
				encoded[i] ^= 1 << bit
			}
		}
	}
}

// checkAgainstLibrary: a bitmap that passes is one that the library thinks sound, too,
// and has the rows promised.
func checkAgainstLibrary(t *testing.T, encoded []byte, rows uint32, count uint64) {
	t.Helper()
	if checkBitmap(encoded, rows, count) != "" {
		return
	}
	b := roaring.New()
	n, err := b.FromBuffer(encoded)
	if err != nil || n != int64(len(encoded)) {
		t.Fatalf("a bitmap that passes is not read: %d of %d bytes, %v", n, len(encoded), err)
	}
	if err := b.Validate(); err != nil {
		t.Fatalf("a bitmap that passes is not valid: %v", err)
	}
	if b.GetCardinality() != count || count > 0 && b.Maximum() >= rows {
		t.Fatalf("a bitmap that passes has %d rows, want %d; up to %d of %d", b.GetCardinality(), count, b.Maximum(), rows)
	}
}

// FuzzBitmap checks any bytes as a bitmap.
func FuzzBitmap(f *testing.F) {
	b := roaring.BitmapOf(1, 2, 3, 70_000)
	b.AddRange(100, 300)
	plain, _ := b.ToBytes()
	f.Add(plain, uint32(100_000), uint64(204))
	b.RunOptimize()
	runs, _ := b.ToBytes()
	f.Add(runs, uint32(100_000), uint64(204))
	f.Fuzz(func(t *testing.T, encoded []byte, rows uint32, count uint64) {
		checkAgainstLibrary(t, encoded, rows, count)
	})
}

// FuzzSet decodes any bytes as a set of bitmaps: nothing panics, and what an expression
// selects lies within the table.
func FuzzSet(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	f.Add(encode(f, build(randomRows(rng, 50)), 50), uint64(50), []byte("half"))
	f.Add(encode(f, &Builder{}, 3), uint64(3), []byte(""))
	f.Fuzz(func(t *testing.T, payload []byte, rows uint64, tag []byte) {
		s, reason := Parse(payload, rows)
		if reason != "" {
			return
		}
		checked := s.Check() == nil
		for tag := range s.Counts() {
			if got, err := s.Find(tag); checked && (err != nil || !got.IsExact()) {
				t.Fatalf("Find(%q) = %v, %v", tag, got, err)
			}
		}
		x := Or(And(Has(tag), Not(has("tenth"))), Not(Has(tag)))
		got, err := x.Select(s.Rows(), s.Find)
		if err == nil && got.May.GetCardinality() > 0 && uint64(got.May.Maximum()) >= rows {
			t.Fatalf("row %d of %d", got.May.Maximum(), rows)
		}
		if checked {
			_ = s.Equal(build(nil))
		}
	})
}

// TestMalformedSets: mistakes in the directory are named.
func TestMalformedSets(t *testing.T) {
	rows := []*Tags{tagsOf("b", "a"), tagsOf("a")}
	sound := encode(t, build(rows), 2)
	for _, c := range []struct {
		what string
		edit func(b []byte) []byte
	}{
		{"another number of rows", func(b []byte) []byte { b[0]++; return b }},
		{"too many tags", func(b []byte) []byte { b[5] = 0xff; return b }},
		{"too long a name", func(b []byte) []byte { b[9] = 1; return b }},
		{"more tag bytes than there are", func(b []byte) []byte { b[13] = 9; return b }},
		{"first tag does not start at 0", func(b []byte) []byte { b[16] = 1; return b }},
		{"bitmap starts behind the end", func(b []byte) []byte { b[16+12+5] = 1; return b }},
		{"tags end elsewhere", func(b []byte) []byte { b[16+24] = 1; return b }},
		{"tags not in order", func(b []byte) []byte { return bytes.Replace(b, []byte("testab"), []byte("testba"), 1) }},
		{"equal tags", func(b []byte) []byte { return bytes.Replace(b, []byte("testab"), []byte("testaa"), 1) }},
	} {
		if _, reason := Parse(c.edit(bytes.Clone(sound)), 2); reason == "" {
			t.Errorf("%s: accepted", c.what)
		}
	}
	for n := range len(sound) {
		s, reason := Parse(sound[:n:n], 2)
		if reason == "" && s.Check() == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(sound))
		}
	}
}
