package sstable

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// The summary of random times is that of all of them, but for Half, which may be late by a
// thirty-second of the range.
func TestExpirySummary(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		n, others := 1+rng.IntN(300), rng.IntN(400)
		spread, start := uint64(1)<<rng.IntN(62), uint64(1)<<rng.IntN(62)
		var h expiries
		var all []uint64
		for range n {
			at := min(start+rng.Uint64N(spread), math.MaxInt64)
			h.add(at)
			all = append(all, at)
		}
		slices.Sort(all)
		entries := uint64(n + others)
		e := h.summary(entries)
		if e.Entries != uint64(n) || e.First != all[0] || e.Last != all[n-1] || !e.valid(entries) {
			t.Fatalf("seed %d: %+v of %d", seed, e, all)
		}
		half := int(entries+1) / 2 // so many
		if half > n {
			if e.Half != 0 {
				t.Fatalf("seed %d: half of %d entries expires at %d, but only %d expire", seed, entries, e.Half, n)
			}
			continue
		}
		if want := all[half-1]; e.Half < want || e.Half-want > (e.Last-e.First)/32+1 {
			t.Fatalf("seed %d: half expires at %d, not %d, of %d to %d", seed, e.Half, want, e.First, e.Last)
		}
		if got := e.Expired(e.Half, entries); got < entries/2 {
			t.Fatalf("seed %d: %d of %d have expired at %d", seed, got, entries, e.Half)
		}
	}
}

func TestExpiryProperties(t *testing.T) {
	fs := vfs.NewMem()
	f, err := fs.Create(testName)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f, Options{Number: 7})
	for i, at := range []int64{0, 500, -3, 100, 900} {
		if err := w.Add([]byte{byte(i)}, key.MakeTrailer(1, key.Set), nil); err != nil {
			t.Fatal(err)
		}
		w.Expires(at)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, readFile(t, fs))
	if got, want := r.Properties().Expiry, (Expiry{Entries: 3, First: 100, Last: 900, Half: 900}); got != want {
		t.Errorf("expiry is %+v, want %+v", got, want)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
	p := r.Properties()
	for _, spoil := range []func(*Expiry){
		func(e *Expiry) { e.Entries = 6 },
		func(e *Expiry) { e.First = 0 },
		func(e *Expiry) { e.Last = 99 },
		func(e *Expiry) { e.Half = 901 },
		func(e *Expiry) { e.Last = 1 << 63 },
	} {
		bad := p
		spoil(&bad.Expiry)
		if _, reason := parseProperties(bad.append(nil)); reason == "" {
			t.Errorf("%+v of %d entries is accepted", bad.Expiry, bad.Entries)
		}
	}
}
