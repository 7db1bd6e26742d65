package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// valuesDatabase has two value files, and a few small values that are in tables.
func valuesDatabase(t testing.TB) (img image, content map[string]string, o Options) {
	t.Helper()
	o = quietOptions()
	o.ValueThreshold = 20
	fs := vfs.NewMem()
	db, err := Open(env.New(), fs, o)
	if err != nil {
		t.Fatal(err)
	}
	content = map[string]string{}
	for half := range 2 {
		for i := range 20 {
			k := fmt.Sprintf("key%02d", 2*i+half)
			content[k] = strings.Repeat(k, 1+i%8)
			if err := set(db, k, content[k]); err != nil {
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
	return imageOf(t, fs), content, o
}

func valueFiles(img image) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(img)), func(name string) bool { return !isNumbered(name, valueSuffix) })
}

// readAround reads everything in all ways. What cannot be read gives damage of the file
// name; all else is right. It returns how many keys could not be read, and the error.
func readAround(t *testing.T, db *DB, content map[string]string, name string) (lost int, found error) {
	t.Helper()
	note := func(err error) {
		var damage *corrupt.Error
		if !errors.As(err, &damage) || damage.File != name {
			t.Fatalf("%s is damaged, read gives %v", name, err)
		}
		found = err
	}
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for _, k := range slices.Sorted(maps.Keys(content)) {
		got, err := db.Get([]byte(k), nil)
		if err != nil {
			note(err)
			lost++
		} else if string(got) != content[k] {
			t.Fatalf("Get(%s) = %q, want %q", k, got, content[k])
		}
		// The key is there without its value.
		if !it.SeekGE([]byte(k)) || string(it.Key()) != k {
			t.Fatalf("SeekGE(%s) goes to %s, %v", k, it.Key(), it.Err())
		}
		if v, e := it.AppendValue([]byte("x")); (e == nil) != (err == nil) || e == nil && string(v) != "x"+content[k] || !it.Valid() {
			t.Fatalf("AppendValue of %s = %q, %v, but Get says %q, %v", k, v, e, got, err)
		}
		v := it.Value()
		if (it.Err() == nil) != (err == nil) || err == nil && string(v) != content[k] {
			t.Fatalf("%s=%q, %v, but Get says %q, %v", k, v, it.Err(), got, err)
		}
		if err != nil && (it.Valid() || it.Next() || it.Err() == nil) {
			t.Fatalf("behind a value that cannot be read the iterator stands on %s, %v", it.Key(), it.Err())
		}
	}
	if err := db.Verify(); err != nil {
		note(err)
	}
	return lost, found
}

// One flipped bit anywhere in a value file is found, costs at most one value unless it is
// in the footer, and the error names the file and a place not behind it.
func TestFlippedBitsOfValues(t *testing.T) {
	img, content, o := valuesDatabase(t)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	files := valueFiles(img)
	if len(files) != 2 {
		t.Fatalf("value files %q, want two", files)
	}
	for _, name := range files {
		for off := rng.IntN(5); off < len(img[name]); off += 1 + rng.IntN(20) {
			bit := byte(1) << rng.IntN(8)
			img[name][off] ^= bit
			db, err := Open(env.New(), img.fs(t), o)
			if err != nil {
				t.Fatal(err)
			}
			lost, err := readAround(t, db, content, name)
			var damage *corrupt.Error
			if !errors.As(err, &damage) || damage.Offset > int64(off) || lost > 1 && off < len(img[name])-64 {
				t.Fatalf("seed %d: bit %#x of byte %d of %s (%d bytes): %d values lost, %v", seed, bit, off, name, len(img[name]), lost, err)
			}
			img[name][off] ^= bit
			_ = db.Close()
		}
	}
}

// A value file that cannot be opened at all costs its own values only, also after
// compaction, which moves pointers into it as they are.
func TestUnreadableValueFile(t *testing.T) {
	img, content, o := valuesDatabase(t)
	files := valueFiles(img)
	name := files[0]
	for what, damaged := range map[string][]byte{
		"missing": nil, "empty": {}, "half": img[name][:len(img[name])/2], "other": img[files[1]],
	} {
		broken := maps.Clone(img)
		broken[name] = damaged
		if damaged == nil {
			delete(broken, name)
		}
		var events []DamageEvent
		o.Events = &Listener{Damaged: func(e DamageEvent) { events = append(events, e) }}
		db, err := Open(env.New(), broken.fs(t), o)
		if err != nil {
			t.Fatal(err)
		}
		before, found := readAround(t, db, content, name)
		if before == 0 || before >= len(content) || found == nil || len(events) != 1 || events[0].Name != name {
			t.Errorf("%s: %d values lost, %v, events %v", what, before, found, events)
		}
		if err := errors.Join(set(db, "key00", content["key00"]), db.Compact(nil, nil)); err != nil {
			t.Errorf("%s: Compact: %v", what, err)
		}
		if after, _ := readAround(t, db, content, name); after > before {
			t.Errorf("%s: %d values lost, %d after compaction", what, before, after)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A value file goes when nothing points into it, but not before the last reader is gone.
func TestValueFileOutlivesReaders(t *testing.T) {
	img, content, o := valuesDatabase(t)
	fs := img.fs(t)
	db, err := Open(env.New(), fs, o)
	if err != nil {
		t.Fatal(err)
	}
	it, err := db.NewIter(IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.DeleteRange([]byte("key"), []byte("kez"))
	if err := errors.Join(db.Apply(b), db.Compact(nil, nil)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if string(it.Value()) != content[string(it.Key())] {
			t.Errorf("%s=%q", it.Key(), it.Value())
		}
		n++
	}
	if n != len(content) || it.Err() != nil {
		t.Errorf("%d of %d keys, %v", n, len(content), it.Err())
	}
	if got := db.Metrics().Values; got.Files != 0 {
		t.Errorf("%+v", got)
	}
	if err := errors.Join(it.Close(), db.Close()); err != nil {
		t.Error(err)
	}
	if left := valueFiles(imageOf(t, fs)); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// A value may be as large as a value can be; this one is larger than what is gathered
// before writing.
func TestVeryLargeValue(t *testing.T) {
	for _, compression := range []Compression{NoCompression, S2} {
		db, err := Open(env.New(), vfs.NewMem(), Options{Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		b := db.NewBatch()
		b.Set([]byte("a"), want)
		b.Set([]byte("b"), []byte("small"))
		if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
			t.Fatal(err)
		}
		got, err := db.Get([]byte("a"), nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Get = %d bytes, %v", len(got), err)
		}
		if size, small := db.Metrics().Values.Bytes, compression == S2; (size < 1<<20) != small {
			t.Errorf("%v: value file of %d bytes", compression, size)
		}
		if err := errors.Join(db.Verify(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Reading separated values allocates nothing.
func TestSeparatedValuesAllocateNothing(t *testing.T) {
	for _, compression := range []Compression{NoCompression, S2} {
		db, err := Open(env.New(), vfs.NewMem(), Options{Compression: compression})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := set(db, fmt.Sprint(i), strings.Repeat("x", 2000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := db.Metrics().Values.Files; n != 1 {
			t.Fatalf("%d value files", n)
		}
		dst, k := make([]byte, 0, 4000), []byte("5")
		if n := testing.AllocsPerRun(100, func() {
			if got, err := db.Get(k, dst); err != nil || len(got) != 2000 {
				t.Fatalf("Get = %d bytes, %v", len(got), err)
			}
		}); n != 0 {
			t.Errorf("%v: Get allocates %v times", compression, n)
		}
		it, err := db.NewIter(IterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		moves := testing.AllocsPerRun(100, func() { it.First() })
		if n := testing.AllocsPerRun(100, func() {
			it.First()
			for range 2 {
				if len(it.Value()) != 2000 {
					t.Fatal(it.Err())
				}
			}
		}); n != moves {
			t.Errorf("%v: a move allocates %v times, with Value %v times", compression, moves, n)
		}
		if err := errors.Join(it.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Values in value files are read without an allocation, from mapped files and from others, in
// whichever way they are stored.
func TestValueReadsAllocateNothing(t *testing.T) {
	for _, noMmap := range []bool{false, true} {
		for c := range ValuesZstd + 1 {
			db := mustOpenDB(t, vfs.NewMem(), Options{NoMmap: noMmap, ValueCompression: c, ValueThreshold: 100})
			want := strings.Repeat("a value that shrinks, ", 40)
			if err := errors.Join(set(db, "k", want), set(db, "l", want), db.Flush()); err != nil {
				t.Fatal(err)
			}
			if m := db.Metrics(); m.Values.Files != 1 || (m.Values.Bytes < uint64(len(want))) != (c >= ValuesS2) {
				t.Errorf("compression %d: %+v", c, m.Values)
			}
			it, err := db.NewIter(IterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var dst []byte
			user := []byte("k")
			if n := testing.AllocsPerRun(20, func() {
				dst, err = db.Get(user, dst[:0])
				if err != nil || string(dst) != want || !it.First() || string(it.Value()) != want {
					t.Fatalf("Get = %q, %v", dst, err)
				}
			}); n > 0 && !raceEnabled {
				t.Errorf("no mmap %v, compression %d: a read allocates %v times", noMmap, c, n)
			}
			it.Close()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
