package lsm

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/memtable"
)

// What a memtable knows of tags lies outside the Go heap, and is given back.
func TestFacetsOutsideHeap(t *testing.T) {
	before := offheap.InUse()
	db := mustOpenDB(t, vfs.NewMem(), Options{DisableWAL: true, Facets: func(user, value []byte, tags *Tags) {
		tags.AddPair("of ten ", user[len(user)-1:])
		tags.AddPair("of hundred ", user[len(user)-2:])
		tags.Add([]byte("all"))
	}})
	const keys = 150_000
	fill := func(from, to int) {
		b := db.NewBatch()
		for i := from; i < to; i++ {
			if b.Set(fmt.Appendf(nil, "%08d", i), []byte("v")); b.Len() == 100 || i == to-1 {
				if err := db.Apply(b); err != nil {
					t.Fatal(err)
				}
				b.Reset()
			}
		}
	}
	fill(0, 1000)
	start := heapBytes()
	fill(1000, keys)
	if grown := heapBytes() - start; grown > keys {
		t.Errorf("the Go heap has grown by %d bytes for %d keys", grown, keys)
	}
	it, err := db.NewFilteredIter(IterOptions{}, And(HasTag([]byte("of ten 7")), Not(HasTag([]byte("of hundred 17")))))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if n != keys*9/100 {
		t.Errorf("found %d keys, want %d", n, keys*9/100)
	}
	it.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes are not given back", got-before)
	}
}

func heapBytes() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestRefs(t *testing.T) {
	var r refs
	const n = 5000
	for i := range n {
		r.add(memtable.Ref(7 * i))
	}
	for i := range uint32(n) {
		if got := r.at(i); got != memtable.Ref(7*i) {
			t.Fatalf("ref %d is %d", i, got)
		}
	}
	if r.free(); r.blocks != nil {
		t.Error("memory is not given back")
	}
}
