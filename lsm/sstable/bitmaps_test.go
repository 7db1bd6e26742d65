package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/facet"
	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/iterator"
	"github.com/statordb/stator/lsm/key"
)

// testFacets knows the first letter of a value, and whether it is long.
func testFacets(_, value []byte, tags *facet.Tags) {
	if len(value) > 0 {
		tags.Add(value[:1])
	}
	if len(value) > 10 {
		tags.Add([]byte("longer"))
	}
}

func askTest(user []byte, _ key.Trailer, value []byte) (*facet.Tags, error) {
	tags := &facet.Tags{}
	testFacets(user, value, tags)
	return tags, nil
}

func selectRows(r *Reader, x facet.Expr) ([]uint32, error) {
	s, err := r.Select(x, "facets")
	if err != nil {
		return nil, err
	}
	return s.May.ToArray(), nil
}

// selectDamaged selects rows of a table that may be damaged: the answer is right, or the
// damage is reported.
func selectDamaged(t *testing.T, r *Reader, c content, bit int) error {
	rows, err := selectRows(r, facet.Has([]byte("longer")))
	if err != nil || r.BitmapBytes() == 0 {
		return err
	}
	if want := rowsWith(c, "longer"); !slices.Equal(rows, want) {
		t.Fatalf("bit %d: rows %v, want %v", bit, rows, want)
	}
	return nil
}

func rowsWith(c content, tag string) (rows []uint32) {
	for i, e := range c.entries {
		var tags facet.Tags
		if testFacets(e.User, e.value, &tags); e.Trailer.Kind() == key.Set && tags.Has([]byte(tag)) {
			rows = append(rows, uint32(i))
		}
	}
	return rows
}

// TestSelect: the rows that bitmaps name are the entries with the tag, read by row.
func TestSelect(t *testing.T) {
	c := smallContent()
	for _, compression := range []Compression{None, S2} {
		b, _ := mustWrite(t, c, Options{Number: 7, BlockBytes: 256, Facets: "facets", Compression: compression})
		r := mustOpen(t, b)
		rows, err := selectRows(r, facet.Has([]byte("w")))
		if err != nil || !slices.Equal(rows, rowsWith(c, "w")) || len(rows) != 12 {
			t.Fatalf("rows %v, %v", rows, err)
		}
		s, err := r.Select(facet.Has([]byte("w")), "another")
		if err != nil || s.IsExact() || s.May.GetCardinality() != uint64(len(c.entries)) || !s.Sure.IsEmpty() {
			t.Errorf("selection for another function: %v", s)
		}
		if err := r.VerifyWith(Functions{Facets: askTest, FacetsName: "facets"}); err != nil {
			t.Errorf("VerifyWith = %v", err)
		}
		if err := r.VerifyWith(Functions{
			Facets:     func([]byte, key.Trailer, []byte) (*facet.Tags, error) { return &facet.Tags{}, nil },
			FacetsName: "facets",
		}); !isDamage(err) {
			t.Errorf("VerifyWith of another function = %v", err)
		}
	}
}

// TestRowIter reads rows, a few at a time in random order and many in either order, and
// finds each entry's row by its key.
func TestRowIter(t *testing.T) {
	c := smallContent()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, o := range smallOptions() {
		b, _ := mustWrite(t, c, o)
		r := mustOpen(t, b)
		var it RowIter
		it.Init(r)
		for range 500 {
			rows := []uint32{rng.Uint32N(r.Rows()), rng.Uint32N(r.Rows()), rng.Uint32N(r.Rows())}
			checkRows(t, &it, c, rows)
			row, e := rows[1], c.entries[rows[1]]
			if err := it.Row(row); err != nil || it.Trailer() != e.Trailer || !it.HasKey(e.User) || it.HasKey(append(e.User, 0)) {
				t.Fatalf("row %d is not %v, but #%v, %v", row, e, it.Trailer(), err)
			}
			if got, err := it.Seek(e.User, e.Trailer); err != nil || got != row {
				t.Fatalf("Seek(%v) = %d, %v, want %d", e.Internal, got, err, row)
			}
		}
		for step := uint32(1); step < 8; step++ {
			var rows []uint32
			for row := rng.Uint32N(4); row < r.Rows() && len(rows) < MaxRead; row += step {
				rows = append(rows, row)
			}
			checkRows(t, &it, c, rows)
			slices.Reverse(rows)
			checkRows(t, &it, c, rows)
		}
		if _, _, err := it.Read([]uint32{r.Rows()}, nil, nil); !errors.As(err, new(*corrupt.Error)) {
			t.Errorf("row %d of %d: %v", r.Rows(), r.Rows(), err)
		}
		if got, err := it.Seek([]byte("zzz"), 0); err != nil || got != r.Rows() {
			t.Errorf("Seek behind all = %d, %v", got, err)
		}
	}
}

func checkRows(t *testing.T, it *RowIter, c content, rows []uint32) {
	t.Helper()
	items, _, err := it.Read(rows, nil, nil)
	if err != nil || len(items) != len(rows) {
		t.Fatalf("rows %v: %d, %v", rows, len(items), err)
	}
	for i, row := range rows {
		e := c.entries[row]
		if got := items[i]; !bytes.Equal(got.User, e.User) || got.Trailer != e.Trailer || !bytes.Equal(got.Value, e.value) {
			t.Fatalf("row %d of %v is %s#%v = %q, want %v", row, rows, got.User, got.Trailer, got.Value, e)
		}
	}
}

// TestRowIterAllocations: going through rows, in place, allocates nothing.
func TestRowIterAllocations(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), Options{Number: 7, BlockBytes: 256})
	r := mustOpen(t, b)
	var it RowIter
	it.Init(r)
	rows := []uint32{1, 5, 9, 20}
	items, buffer := make([]iterator.Item, 0, 4), make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(10, func() {
		_, _, _ = it.Read(rows, items, buffer)
		_ = it.Row(rows[0])
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHasAllocatesNothing: nor where blocks have to be decoded.
func TestHasAllocatesNothing(t *testing.T) {
	c := smallContent()
	b, _ := mustWrite(t, c, Options{Number: 7, BlockBytes: 256, Compression: S2})
	r := mustOpen(t, b)
	for i, e := range c.entries {
		hash := filter.Hash(e.User)
		if found, err := r.Has(e.User, hash, key.MaxSeqNum); !found || err != nil {
			t.Fatalf("Has(%s) = %v, %v", e.User, found, err)
		}
		if found, err := r.Has(append(e.User, 0xff), hash, key.MaxSeqNum); found || err != nil {
			t.Fatalf("Has(%s\xff) = %v, %v", e.User, found, err)
		}
		if i > 0 {
			continue
		}
		if n := testing.AllocsPerRun(10, func() { _, _ = r.Has(e.User, hash, key.MaxSeqNum) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestDescribeBitmaps(t *testing.T) {
	b, _ := mustWrite(t, smallContent(), Options{Number: 7, BlockBytes: 256, Facets: "facets"})
	var out strings.Builder
	if err := mustOpen(t, b).DescribeBitmaps(&out); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("facets facets: %d bytes, 4 tags, 0 incomplete rows\n"+
		"  tag longer: 19 rows\n  tag u: 1 rows\n  tag v: 11 rows\n  tag w: 12 rows\n", mustOpen(t, b).BitmapBytes())
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
