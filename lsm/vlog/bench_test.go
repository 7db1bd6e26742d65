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
				r, err := Open(memory(b, file), testName, 7, nil)
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

// BenchmarkCodec reads one record again and again: what it takes to decode half noise, half
// zeros.
func BenchmarkCodec(b *testing.B) {
	for _, codec := range []Codec{None, S2, Zstd} {
		for _, size := range []int{1 << 10, 4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%v/%d", codec, size), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 1))
				value := make([]byte, size)
				for i := range value {
					if i/8%2 == 0 {
						value[i] = "abcdefghijklmnop"[rng.IntN(16)]
					}
				}
				entries := []entry{{user: []byte("k"), value: value}}
				file, meta := write(b, Options{Number: 7, Codec: codec}, entries)
				r, err := Open(memory(b, file), testName, 7, nil)
				must(b, err)
				var dst []byte
				for b.Loop() {
					dst, err = r.AppendValue(dst[:0], entries[0].user, entries[0].at)
					must(b, err)
				}
				b.ReportMetric(float64(meta.Size-footerBytes)/float64(size), "stored/raw")
			})
		}
	}
}
