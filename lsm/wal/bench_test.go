package wal

import (
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// What one durable append costs depends on whether the file system must write
// metadata, too: a file that grows, one that is preallocated, one used again.
func BenchmarkAppendSync(b *testing.B) {
	for name, o := range map[string]Options{
		"growing":      {},
		"preallocated": {Preallocate: true},
		"recycled":     {Preallocate: true, SegmentBytes: 1 << 20, Recycle: 2},
	} {
		b.Run(name, func(b *testing.B) {
			fs, err := vfs.NewOS(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			l := mustOpen(b, fs, o)
			defer l.Close()
			payload := make([]byte, 4<<10-Overhead)
			for b.Loop() {
				if _, err := l.Append(payload); err != nil {
					b.Fatal(err)
				}
				if err := l.Sync(); err != nil {
					b.Fatal(err)
				}
				if o.Recycle > 0 {
					if err := l.RemoveBefore(l.next - 1); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{130, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			fs, err := vfs.NewOS(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			l := mustOpen(b, fs, Options{Preallocate: true, Recycle: 1})
			defer l.Close()
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Append(payload); err != nil {
					b.Fatal(err)
				}
				if err := l.RemoveBefore(l.next - 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
