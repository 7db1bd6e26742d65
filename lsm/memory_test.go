package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// filled returns a database of n entries in tables, and its directory.
func filled(t *testing.T, o Options, n int) (*DB, string) {
	t.Helper()
	dir := t.TempDir()
	fs, err := vfs.NewOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	o.Sync, o.NoPreallocate = SyncNever, true
	db := mustOpenDB(t, fs, o)
	for half := range 2 { // two tables of level 0 that overlap, and so are merged
		b := db.NewBatch()
		for i := half; i < n; i += 2 {
			b.Set(memoryKey(i), memoryValue(i))
		}
		if err := db.Apply(b); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return db, dir
}

func memoryKey(i int) []byte { return fmt.Appendf(nil, "key%06d", i) }

func memoryValue(i int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(i)*0x9E3779B97F4A7C15), make([]byte, 100)...)
}

// TestGetAllocatesNothing in any table: in place, decoded, cached or read.
func TestGetAllocatesNothing(t *testing.T) {
	for _, o := range []Options{
		{}, {Compression: S2}, {Compression: ZstdDict}, {NoMmap: true},
		{Compression: S2, MemoryBytes: 64 << 10, MemtableBytes: 64 << 20}, // hardly a cache
	} {
		db, _ := filled(t, o, 20_000)
		buf := make([]byte, 0, 1000)
		k := make([]byte, 0, 100)
		i := 0
		get := func() {
			i = (i + 7919) % 20_000
			k = append(k[:0], "key000000"...)
			for n, at := i, 8; n > 0; n, at = n/10, at-1 {
				k[at] = byte('0' + n%10)
			}
			v, err := db.Get(k, buf)
			if err != nil || binary.BigEndian.Uint64(v) != uint64(i)*0x9E3779B97F4A7C15 {
				t.Fatalf("Get(%s) = %x, %v", k, v, err)
			}
		}
		for range 20_000 {
			get()
		}
		if n := testing.AllocsPerRun(2000, get); n != 0 {
			t.Errorf("%v, no mmap %v, %d bytes: %v allocations", o.Compression, o.NoMmap, o.MemoryBytes, n)
		}
	}
}

// TestMemoryBudget: the cache gets what memtables and tables leave, and stays below it.
func TestMemoryBudget(t *testing.T) {
	o := Options{Compression: S2, MemoryBytes: 4 << 20, MemtableBytes: 1 << 20}
	db, _ := filled(t, o, 60_000)
	for range 3 {
		for i := range 60_000 {
			if v, err := db.Get(memoryKey(i), nil); err != nil || !bytes.Equal(v, memoryValue(i)) {
				t.Fatal(i, err)
			}
		}
	}
	m := db.Metrics()
	if m.TableMemory == 0 || m.Cache.HitRate() < 0.9 || m.Cache.Bytes > m.Cache.LimitBytes ||
		m.Cache.LimitBytes > o.MemoryBytes-int64(o.MemtableBytes)-m.TableMemory {
		t.Errorf("indexes and filters %d; cache %v", m.TableMemory, m.Cache)
	}
	if !strings.Contains(m.String(), "hit rate 0.9") {
		t.Errorf("metrics are %s", m.String())
	}
}

// TestMapIsNotNeeded: without mmap, by choice or because the system has none, everything
// is read, and right.
func TestMapIsNotNeeded(t *testing.T) {
	for _, noMmap := range []bool{true, false} {
		var mapped atomic.Int64 // tables are opened in the background, too
		fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpMap {
				mapped.Add(1)
				return errors.ErrUnsupported
			}
			return nil
		})
		db := mustOpenDB(t, fs, Options{NoMmap: noMmap, MemtableBytes: 32 << 10, TableBytes: 32 << 10})
		for i := range 2000 {
			b := db.NewBatch()
			b.Set(memoryKey(i), memoryValue(i))
			if err := db.Apply(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Compact(nil, nil); err != nil {
			t.Fatal(err)
		}
		it, err := db.NewIter(IterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			if v, err := db.Get(it.Key(), nil); err != nil || !bytes.Equal(v, it.Value()) || !bytes.Equal(v, memoryValue(n)) {
				t.Fatal(n, err)
			}
			n++
		}
		if n != 2000 || it.Err() != nil {
			t.Errorf("%d entries, %v", n, it.Err())
		}
		it.Close()
		if err := db.Verify(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if noMmap != (mapped.Load() == 0) {
			t.Errorf("no mmap %v: %d files were to be mapped", noMmap, mapped.Load())
		}
	}
}

// TestTruncatedTable: a table that loses its pages under a mapping, as when someone
// truncates the file, fails the reads that need them, and those errors name it.
// Other tables, and the process, live on.
func TestTruncatedTable(t *testing.T) {
	for _, o := range []Options{{TableBytes: 256 << 10}, {TableBytes: 256 << 10, Compression: S2}} {
		db, dir := filled(t, o, 20_000)
		tables := db.current.Load().version.levels
		var last *table
		for _, level := range tables {
			if n := len(level); n > 1 {
				last = level[n-1]
			}
		}
		if last == nil {
			t.Fatal("want several tables in a level")
		}
		if err := os.Truncate(filepath.Join(dir, last.name), 0); err != nil {
			t.Skipf("this system does not truncate mapped files: %v", err)
		}
		check := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, vfs.ErrIO) || !strings.Contains(err.Error(), last.name) {
				t.Errorf("%s = %v, want %v that names %s", what, err, vfs.ErrIO, last.name)
			}
		}
		_, err := db.Get(memoryKey(19_999), nil)
		check("Get", err)
		it, err := db.NewIter(IterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		it.SeekGE(memoryKey(19_999))
		check("SeekGE", it.Err())
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		check("Next", it.Err())
		if it.Close(); n == 0 || n == 20_000 {
			t.Errorf("%d entries before the error", n)
		}
		if v, err := db.Get(memoryKey(0), nil); err != nil || !bytes.Equal(v, memoryValue(0)) {
			t.Errorf("Get from a sound table: %v", err)
		}
		if err := db.Verify(); !errors.Is(err, vfs.ErrIO) {
			t.Errorf("Verify = %v", err)
		}
	}
}
