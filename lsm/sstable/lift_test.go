package sstable

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// withSeq returns c with one version of each key, all with one sequence number.
func (c content) withSeq(seq key.SeqNum) content {
	var flat content
	for _, e := range c.entries {
		e.Trailer = key.MakeTrailer(seq, e.Trailer.Kind())
		flat.entries = append(flat.entries, e)
	}
	flat.entries = slices.CompactFunc(flat.entries, func(a, b entry) bool { return bytes.Equal(a.User, b.User) })
	for _, d := range c.deletes {
		d.Seq = seq
		flat.deletes = append(flat.deletes, d)
	}
	return flat
}

// A lifted table reads in every way like one that was written with the sequence number.
func TestLift(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, o := range allOptions() {
		for _, s := range shapes {
			t.Run(optionsName(o)+"/"+s.name, func(t *testing.T) {
				c := randomContent(rng, s, 1+rng.IntN(100))
				c.deletes = []RangeDelete{{Start: []byte("a"), End: []byte("k")}, {Start: []byte("c"), End: []byte("zzz")}}
				seq := key.SeqNum(1 + rng.Uint64N(uint64(key.MaxSeqNum)))
				want := c.withSeq(seq)
				b, _ := mustWrite(t, c.withSeq(0), o)
				same, _ := mustWrite(t, want, o)
				m := memory(b)
				r, err := Open(m, testName, Options{Number: 7, Seq: seq})
				if rng.IntN(2) == 0 {
					r, err = Open(unmapped(t, b), testName, Options{Number: 7, Seq: seq})
				}
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				checkScan(t, r, want)
				checkGets(t, rng, r, want, s)
				checkScan(t, r, want) // of cached blocks, too
				var rows RowIter
				rows.Init(r)
				for i, e := range want.entries {
					if err := rows.Row(uint32(i)); err != nil || rows.Trailer() != e.Trailer {
						t.Fatalf("row %d is %v, %v, want %v", i, rows.Trailer(), err, e)
					}
				}
				direct := mustOpen(t, same)
				if got, want := r.Properties(), direct.Properties(); got.String() != want.String() {
					t.Errorf("properties %v, want %v", got, want)
				}
				if !slices.EqualFunc(r.RangeDeletes(), direct.RangeDeletes(), func(a, b RangeDelete) bool { return a.compare(b) == 0 }) {
					t.Errorf("range deletes %v, want %v", r.RangeDeletes(), direct.RangeDeletes())
				}
				if err := r.Verify(); err != nil {
					t.Errorf("Verify: %v", err)
				}
			})
		}
	}
}

// Only a table of sequence number 0 and one version of each key can be lifted.
func TestLiftRefuses(t *testing.T) {
	for name, c := range map[string]content{
		"versions":        {entries: []entry{point("a", 0, key.Set, ""), point("a", 0, key.Delete, "")}},
		"sequence number": {entries: []entry{point("a", 1, key.Set, "")}},
		"range delete":    {deletes: []RangeDelete{{Start: []byte("a"), End: []byte("b"), Seq: 1}}},
	} {
		b, _ := mustWrite(t, c, Options{Number: 7})
		if _, err := Open(memory(b), testName, Options{Seq: 9}); !isDamage(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, _ := mustWrite(t, content{entries: []entry{point("a", 0, key.Set, "")}}, Options{Number: 7})
	if _, err := Open(memory(b), testName, Options{Seq: key.MaxSeqNum + 1}); !isDamage(err) {
		t.Errorf("a sequence number that is too large: %v", err)
	}
}
