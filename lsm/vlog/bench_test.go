package vlog

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkAppendValue reads random records of 1 KiB from a file that is in memory but
// not in a cache: with the checksum verified at the first touch only, and each time.
func BenchmarkAppendValue(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		entries := make([]entry, (64<<20)/size)
		for i := range entries {
			entries[i] = entry{user: fmt.Appendf(nil, "user%012d", i), value: make([]byte, size)}
		}
		file, _ := write(b, Options{Number: 7}, entries)
		for _, each := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/checked-each-time=%v", size, each), func(b *testing.B) {
				r, err := Open(memory(b, file), testName, 7)
				must(b, err)
				rng := rand.New(rand.NewPCG(1, 1))
				dst := make([]byte, 0, size)
				read := func() {
					e := &entries[rng.IntN(len(entries))]
					if each {
						r.checked[e.at.Offset>>r.granuleShift>>6].Store(0)
					}
					if _, err := r.AppendValue(dst, e.user, e.at); err != nil {
						b.Fatal(err)
					}
				}
				for range 4 * len(entries) {
					read()
				}
				b.SetBytes(int64(size))
				for b.Loop() {
					read()
				}
			})
		}
	}
}
