package vlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

const testName = "db/000007.vlog"

type entry struct {
	user, value []byte
	at          Pointer
}

// sample has records of all sorts: empty keys and values, values that shrink and
// values that do not.
func sample() []entry {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	return []entry{
		{user: []byte(""), value: []byte("of the empty key")},
		{user: []byte("a"), value: nil},
		{user: []byte("b"), value: []byte(strings.Repeat("shrinks ", 20))},
		{user: []byte("c\x00"), value: noise},
		{user: []byte("c\x00\x01"), value: []byte("short")},
	}
}

// write writes entries and notes where they are.
func write(t testing.TB, o Options, entries []entry) (file []byte, meta Meta) {
	t.Helper()
	fs := vfs.NewMem()
	f, err := fs.Create("f")
	must(t, err)
	w := NewWriter(f, o)
	for i := range entries {
		entries[i].at, err = w.Add(entries[i].user, entries[i].value)
		must(t, err)
	}
	size := w.Size()
	meta, err = w.Finish()
	must(t, err)
	file = make([]byte, meta.Size)
	if n, _ := f.Size(); n != int64(meta.Size) || size != meta.Size {
		t.Fatalf("file has %d bytes, Size was %d, Meta says %d", n, size, meta.Size)
	}
	_, err = f.ReadAt(file, 0)
	must(t, err)
	return file, meta
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory maps a file that lies in memory.
func memory(t testing.TB, b []byte) vfs.Mapping {
	t.Helper()
	fs := vfs.NewMem()
	f, err := fs.Create("f")
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	m, err := f.Map()
	must(t, err)
	return m
}

func isDamage(err error) bool {
	var damage *corrupt.Error
	return errors.As(err, &damage) && damage.File == testName
}

func TestWrittenIsRead(t *testing.T) {
	for _, codec := range []Codec{None, S2, Zstd} {
		entries := sample()
		file, meta := write(t, Options{Number: 7, Codec: codec}, entries)
		r, err := Open(memory(t, file), testName, 7, nil)
		must(t, err)
		must(t, r.Verify())
		if (codec == Zstd) != (meta.version == 2) {
			t.Errorf("%v: written in format version %d", codec, meta.version)
		}
		if r.Meta() != meta || meta.Records != uint64(len(entries)) {
			t.Errorf("%v: meta %+v, written %+v", codec, r.Meta(), meta)
		}
		for range 2 { // the second time, checksums are not verified any more
			for _, e := range entries {
				got, err := r.AppendValue([]byte("prefix"), e.user, e.at)
				if err != nil || string(got) != "prefix"+string(e.value) {
					t.Errorf("%v: %s = %q, %v, want %q", codec, e.at, got, err, e.value)
				}
				got, _, err = r.Value(e.user, e.at, nil)
				if err != nil || !bytes.Equal(got, e.value) {
					t.Errorf("%v: %s = %q, %v, want %q", codec, e.at, got, err, e.value)
				}
			}
		}
		i := 0
		must(t, r.Records(func(c Record) error {
			if e := entries[i]; c.Pointer != e.at || !bytes.Equal(c.User, e.user) || c.RawBytes != len(e.value) {
				t.Errorf("%v: record %d is %v", codec, i, c)
			}
			i++
			return nil
		}))
		if i != len(entries) {
			t.Errorf("%v: %d records", codec, i)
		}
		must(t, r.Close())
	}
}

// Without a mapping, reads into memory that has grown allocate nothing, and find the same.
func TestReadWithoutMapping(t *testing.T) {
	for _, codec := range []Codec{None, S2, Zstd} {
		entries := sample()
		file, _ := write(t, Options{Number: 7, Codec: codec}, entries)
		fs := vfs.NewMem()
		f, err := fs.Create("f")
		must(t, err)
		_, err = f.WriteAt(file, 0)
		must(t, err)
		m, err := vfs.ReadMapping(f)
		must(t, err)
		r, err := Open(m, testName, 7, nil)
		must(t, err)
		must(t, r.Verify())
		dst, scratch := []byte("prefix"), []byte(nil)
		readAll := func() {
			for _, e := range entries {
				got, err := r.AppendValue(dst[:6], e.user, e.at)
				if err != nil || string(got) != "prefix"+string(e.value) {
					t.Errorf("%v: %s = %q, %v, want %q", codec, e.at, got, err, e.value)
				}
				dst = got
				var value []byte
				value, scratch, err = r.Value(e.user, e.at, scratch)
				if err != nil || !bytes.Equal(value, e.value) {
					t.Errorf("%v: %s = %q, %v, want %q", codec, e.at, value, err, e.value)
				}
				p := e.at
				p.Offset++
				if got, err := r.AppendValue(dst[:6], e.user, p); !isDamage(err) || string(got) != "prefix" {
					t.Errorf("%v: a pointer that leads astray: %q, %v", codec, got, err)
				}
			}
		}
		readAll()
		if n := testing.AllocsPerRun(10, func() {
			for _, e := range entries {
				dst, _ = r.AppendValue(dst[:6], e.user, e.at)
				_, scratch, _ = r.Value(e.user, e.at, scratch)
			}
		}); n > 0 && !raceEnabled {
			t.Errorf("%v: reads allocate %v times", codec, n)
		}
		must(t, r.Close())
	}
}

// A file may have nothing in it, or a value larger than what is written at once.
func TestExtremeSizes(t *testing.T) {
	file, meta := write(t, Options{Number: 7}, nil)
	r, err := Open(memory(t, file), testName, 7, nil)
	must(t, err)
	if err := r.Verify(); err != nil || meta.Size != footerBytes {
		t.Errorf("empty file: %+v, %v", meta, err)
	}
	if _, err := r.AppendValue(nil, nil, Pointer{File: 7, Size: headerBytes}); !isDamage(err) {
		t.Errorf("read from an empty file: %v", err)
	}
	large := []entry{
		{user: []byte("a"), value: []byte("small")},
		{user: []byte("b"), value: bytes.Repeat([]byte("0123456789abcdef"), 3*chunkBytes/16)},
		{user: []byte("c"), value: []byte("small")},
	}
	for _, codec := range []Codec{None, S2, Zstd} {
		file, _ = write(t, Options{Number: 7, Codec: codec}, large)
		r, err = Open(memory(t, file), testName, 7, nil)
		must(t, err)
		must(t, r.Verify())
		for _, e := range large {
			if got, err := r.AppendValue(nil, e.user, e.at); err != nil || !bytes.Equal(got, e.value) {
				t.Errorf("%v: %s: %d bytes, %v", codec, e.at, len(got), err)
			}
		}
	}
	w := NewWriter(nil, Options{})
	if _, err := w.Add(make([]byte, MaxKeyBytes+1), nil); err == nil {
		t.Error("too large a key was taken")
	}
}

// Each flipped bit is found by Verify; a read gives the right value or the error.
func TestEveryFlippedBit(t *testing.T) {
	for _, codec := range []Codec{None, S2, Zstd} {
		entries := sample()
		b, _ := write(t, Options{Number: 7, Codec: codec}, entries)
		m := memory(t, b)
		for bit := range 8 * len(b) {
			m.Bytes()[bit/8] ^= 1 << (bit % 8)
			err := readAll(t, m, entries)
			m.Bytes()[bit/8] ^= 1 << (bit % 8)
			var damage *corrupt.Error
			if !errors.As(err, &damage) || damage.File != testName || damage.Offset > int64(bit/8) {
				t.Fatalf("bit %d of %d bytes: %v", bit, len(b), err)
			}
		}
	}
}

// readAll reads in all ways; what it reads must be right.
func readAll(t *testing.T, m vfs.Mapping, entries []entry) (found error) {
	r, err := Open(m, testName, 7, nil)
	if err != nil {
		return err
	}
	for range 2 {
		for _, e := range entries {
			if got, err := r.AppendValue(nil, e.user, e.at); err != nil {
				found = err
			} else if !bytes.Equal(got, e.value) {
				t.Fatalf("%s = %q, want %q", e.at, got, e.value)
			}
		}
	}
	if err := r.Verify(); err == nil {
		t.Fatalf("Verify found nothing; reads: %v", found)
	} else if found == nil {
		found = err
	}
	return found
}

// A file cut short, or in the place of another, is refused; so is a pointer that does
// not fit.
func TestWrongFileOrPointer(t *testing.T) {
	entries := sample()
	b, _ := write(t, Options{Number: 7}, entries)
	for n := range b {
		if _, err := Open(memory(t, b[:n]), testName, 7, nil); !isDamage(err) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := Open(memory(t, b), testName, 8, nil); !isDamage(err) {
		t.Errorf("as number 8: %v", err)
	}
	r, err := Open(memory(t, b), testName, 0, nil)
	must(t, err)
	e := entries[2]
	for _, p := range []Pointer{
		{8, e.at.Offset, e.at.Size}, {7, e.at.Offset + 1, e.at.Size}, {7, e.at.Offset, e.at.Size + 1},
		{7, e.at.Offset, e.at.Size - 1}, {7, 1 << 62, e.at.Size}, {7, e.at.Offset, 1 << 63}, {7, 0, 0},
		{7, uint64(len(b)) - footerBytes, headerBytes}, entries[3].at,
	} {
		if got, err := r.AppendValue(nil, e.user, p); !isDamage(err) {
			t.Errorf("%v = %q, %v", p, got, err)
		}
	}
	// The granule of the record is known to be sound; that does not help a wrong pointer.
	_, err = r.AppendValue(nil, e.user, e.at)
	must(t, err)
	if got, err := r.AppendValue(nil, e.user, Pointer{7, e.at.Offset + 1, e.at.Size}); !isDamage(err) {
		t.Errorf("behind a sound record: %q, %v", got, err)
	}
}

// Each call of a writer fails once; then so does the writer, for good.
func TestEveryCallFailsOnce(t *testing.T) {
	large := append(sample(), entry{user: []byte("d"), value: make([]byte, 2*chunkBytes)}, entry{user: []byte("e"), value: []byte("x")})
	for n := 1; ; n++ {
		calls := 0
		f, err := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate {
				return nil
			}
			if calls++; calls == n {
				return vfs.ErrIO
			}
			return nil
		}).Create("f")
		must(t, err)
		w := NewWriter(f, Options{Number: 7})
		var failed error
		for _, e := range large {
			if _, err := w.Add(e.user, e.value); err != nil {
				failed = err
			}
		}
		if _, err := w.Finish(); err != nil && failed == nil {
			failed = err
		}
		if calls < n {
			if n < 4 || failed != nil {
				t.Errorf("%d calls, %v", calls, failed)
			}
			return
		}
		if _, err := w.Finish(); !errors.Is(failed, vfs.ErrIO) || !errors.Is(err, vfs.ErrIO) {
			t.Errorf("call %d failed: %v, then %v", n, failed, err)
		}
	}
}

func TestFinishedWriter(t *testing.T) {
	f, err := vfs.NewMem().Create("f")
	must(t, err)
	w := NewWriter(f, Options{Number: 1})
	_, err = w.Finish()
	must(t, err)
	if _, err := w.Add(nil, nil); !errors.Is(err, errFinished) {
		t.Errorf("Add after Finish: %v", err)
	}
}

// Many readers touch records for the first time together.
func TestConcurrentReads(t *testing.T) {
	entries := sample()
	b, _ := write(t, Options{Number: 7}, entries)
	r, err := Open(memory(t, b), testName, 7, nil)
	must(t, err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, e := range entries {
				if got, err := r.AppendValue(nil, e.user, e.at); err != nil || !bytes.Equal(got, e.value) {
					t.Errorf("%v = %q, %v", e.at, got, err)
				}
			}
		})
	}
	all.Wait()
}

func TestReadsAllocateNothing(t *testing.T) {
	entries := sample()
	for _, codec := range []Codec{None, S2, Zstd} {
		b, _ := write(t, Options{Number: 7, Codec: codec}, entries)
		r, err := Open(memory(t, b), testName, 7, nil)
		must(t, err)
		dst, scratch := make([]byte, 0, 1<<10), make([]byte, 0, 1<<10)
		if n := testing.AllocsPerRun(100, func() {
			for _, e := range entries {
				_, err1 := r.AppendValue(dst, e.user, e.at)
				_, _, err2 := r.Value(e.user, e.at, scratch)
				must(t, errors.Join(err1, err2))
			}
		}); n != 0 && !raceEnabled {
			t.Errorf("%v: %v allocations", codec, n)
		}
	}
}

func TestPointer(t *testing.T) {
	for _, p := range []Pointer{{}, {1, 2, 3}, {1 << 40, 1 << 63, 1 << 31}} {
		b := p.Append(nil)
		if got, ok := DecodePointer(b); !ok || got != p || len(b) > MaxPointerBytes {
			t.Errorf("%v encodes to %x, decodes to %v", p, b, got)
		}
		if _, ok := DecodePointer(append(b, 0)); ok {
			t.Errorf("%v with a byte more was taken", p)
		}
	}
	if got := fmt.Sprint(Pointer{12, 1051, 2080}); got != "000012@1051+2080" {
		t.Error(got)
	}
}
