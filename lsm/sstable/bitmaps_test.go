package sstable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/lsm/facet"
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
		if err := r.VerifyFacets("facets", askTest); err != nil {
			t.Errorf("VerifyFacets = %v", err)
		}
		if err := r.VerifyFacets("facets", func([]byte, key.Trailer, []byte) (*facet.Tags, error) { return &facet.Tags{}, nil }); !isDamage(err) {
			t.Errorf("VerifyFacets of another function = %v", err)
		}
	}
}

// TestRowIter reads rows in random order, and finds each entry's row by its key.
func TestRowIter(t *testing.T) {
	c := smallContent()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, o := range smallOptions() {
		b, _ := mustWrite(t, c, o)
		r := mustOpen(t, b)
		var it RowIter
		it.Init(r)
		for range 500 {
			row := rng.Uint32N(r.Rows())
			it.Warm([]uint32{row, rng.Uint32N(r.Rows())})
			if err := it.Row(row); err != nil {
				t.Fatal(err)
			}
			e := c.entries[row]
			if k := it.AppendKey(nil); !bytes.Equal(k, e.User) || it.Trailer() != e.Trailer || !bytes.Equal(it.Value(), e.value) || !it.HasKey(k) || it.HasKey(append(k, 0)) {
				t.Fatalf("row %d is %s#%v = %q, want %v", row, k, it.Trailer(), it.Value(), e)
			}
			if got, err := it.Seek(e.User, e.Trailer); err != nil || got != row {
				t.Fatalf("Seek(%v) = %d, %v, want %d", e.Internal, got, err, row)
			}
		}
		if got, err := it.Seek([]byte("zzz"), 0); err != nil || got != r.Rows() {
			t.Errorf("Seek behind all = %d, %v", got, err)
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
	if n := testing.AllocsPerRun(10, func() {
		it.Warm(rows)
		for _, row := range rows {
			_ = it.Row(row)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
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
