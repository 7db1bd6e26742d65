package offheap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alloc falls back to the Go heap when the system refuses, which is where Go
// itself would have ended the process.
func alloc(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return heap(n)
	}
	if n >= HugeBytes {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // advice: without it everything works
	}
	return b
}

// free ignores the error: memory that was not mapped is the collector's.
func free(b []byte) { _ = unix.Munmap(b) }

// discard leaves out pages that b shares with others.
func discard(b []byte) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(&b[0]))
	from := (start+page-1)&^(page-1) - start
	end := (start+uintptr(len(b)))&^(page-1) - start
	if int(from) < int(end) {
		_ = unix.Madvise(b[from:end], unix.MADV_DONTNEED) // advice
	}
}
