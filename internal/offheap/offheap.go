// Package offheap hands out memory that the garbage collector neither scans
// nor counts.
//
// Large tables of plain bytes (a memtable, a cache of blocks) would otherwise
// double the heap that the collector lets grow, and cost it time. Such memory
// must hold no Go pointers, and its owner gives it back exactly once: nobody
// may use a slice of it after Free.
//
// On Linux it is anonymous memory, on huge pages where the size allows: a
// random read of 64 MiB on 4 KiB pages misses the TLB each time. Elsewhere it
// is ordinary Go memory, and Free leaves it to the collector.
package offheap

import (
	"sync/atomic"
	"unsafe"
)

// HugeBytes is the size from which memory is asked to lie on huge pages.
const HugeBytes = 2 << 20

// SmallBytes is the size below which memory comes from the Go heap after all:
// a system call and whole pages do not pay for less.
const SmallBytes = 64 << 10

var inUse atomic.Int64

// InUse is how many bytes have been handed out and not been given back, the small
// ones not counted.
func InUse() int64 { return inUse.Load() }

// Alloc returns n zero bytes, aligned to at least 8.
func Alloc(n int) []byte {
	if n < SmallBytes {
		return heap(n)
	}
	b := alloc(n)
	inUse.Add(int64(n))
	return b
}

// heap returns n bytes of Go memory, aligned to 8.
func heap(n int) []byte {
	if n == 0 {
		return nil
	}
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}

// Free gives back what Alloc returned: the same slice, neither shortened nor moved.
func Free(b []byte) {
	if len(b) < SmallBytes {
		return
	}
	inUse.Add(-int64(len(b)))
	free(b)
}

// Discard gives the whole pages in b, a part of what Alloc returned, back to the system
// until they are used again. Whatever was in b is lost, but its owner may go on to read
// and write it.
func Discard(b []byte) {
	if len(b) > 0 {
		discard(b)
	}
}

// Words views memory from Alloc as words that may be read while they are written.
func Words(b []byte) []atomic.Uint64 {
	if len(b) < 8 {
		return nil
	}
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[0])), len(b)/8)
}
