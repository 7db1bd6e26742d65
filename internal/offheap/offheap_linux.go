package offheap

import "golang.org/x/sys/unix"

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
