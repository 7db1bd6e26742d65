package lsm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// scattered has values of neighbouring keys in three value files, and many keys in
// a block.
func scattered(t *testing.T) (img image, o Options, value func(i int) string) {
	t.Helper()
	o = quietOptions()
	o.ValueThreshold, o.BlockBytes = 20, 4096
	value = func(i int) string { return strings.Repeat(fmt.Sprintf("%03d-", i), 5+i%7) }
	fs := vfs.NewMem()
	db, err := Open(env.New(), fs, o)
	if err != nil {
		t.Fatal(err)
	}
	for third := range 3 {
		for i := third; i < 400; i += 3 {
			if err := set(db, fmt.Sprintf("%03d", i), value(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Compact(nil, nil), db.Close()); err != nil {
		t.Fatal(err)
	}
	return imageOf(t, fs), o, value
}

// Whichever values are read, in whichever order: each is that of its key.
func TestValuesReadAhead(t *testing.T) {
	img, o, value := scattered(t)
	db, err := Open(env.New(), img.fs(t), o)
	if err != nil {
		t.Fatal(err)
	}
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		at := rng.IntN(400)
		it.SeekGE(fmt.Appendf(nil, "%03d", at))
		step, skip := 1-2*rng.IntN(2), rng.IntN(3)
		for range rng.IntN(60) {
			if rng.IntN(1+skip) == 0 {
				if got := string(it.Value()); got != value(at) || it.Err() != nil {
					t.Fatalf("seed %d: %s=%q, %v, want %q", seed, it.Key(), got, it.Err(), value(at))
				}
			}
			if rng.IntN(15) == 0 {
				step = -step
			}
			at += step
			if step > 0 && !it.Next() || step < 0 && !it.Prev() {
				break
			}
		}
	}
	if err := errors.Join(it.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// A value that is damaged is found when it is asked for, not when those before it are.
func TestReadAheadMeetsDamage(t *testing.T) {
	img, o, value := scattered(t)
	name := valueFiles(img)[0] // keys 000, 003, 006, ...
	at := strings.Index(string(img[name]), value(150))
	img[name][at+5] ^= 1
	db, err := Open(env.New(), img.fs(t), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, forward := range []bool{true, false} {
		it, err := db.NewIter(IterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		first, next, i, step := it.First, it.Next, 0, 1
		if !forward {
			first, next, i, step = it.Last, it.Prev, 399, -1
		}
		for ok := first(); ok; ok = next() {
			if got := string(it.Value()); it.Err() == nil && got != value(i) {
				t.Fatalf("%s=%q, want %q", it.Key(), got, value(i))
			}
			if it.Err() == nil {
				i += step
			}
		}
		var damage *corrupt.Error
		if !errors.As(it.Err(), &damage) || damage.File != name || i != 150 {
			t.Errorf("forward %v: stopped at %d, %v", forward, i, it.Err())
		}
		_ = it.Close()
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
