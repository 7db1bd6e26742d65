package prefetch

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// A hint about memory that is not there must not fault.
func TestAnyAddress(t *testing.T) {
	b := make([]byte, 64)
	Line(unsafe.Pointer(&b[0]))
	Line(nil)
	Line(unsafe.Add(unsafe.Pointer(&b[0]), 1<<46))
	for n := range 200 {
		Lines(unsafe.Pointer(&b[n%64]), n)
		Lines(nil, n)
	}
	Lines(unsafe.Add(unsafe.Pointer(&b[0]), 1<<46), 1<<12)
}

// Random reads of 256 MiB, each address known eight reads ahead.
func BenchmarkRandomReads(b *testing.B) {
	const words = 256 << 20 / 8
	memory := make([]uint64, words)
	for i := range memory {
		memory[i] = uint64(i)
	}
	at := make([]uint32, 1<<16)
	for i := range at {
		at[i] = rand.Uint32N(words)
	}
	for _, how := range []string{"plain", "prefetched"} {
		b.Run(how, func(b *testing.B) {
			sum, i := uint64(0), 0
			for b.Loop() {
				i = (i + 1) % len(at)
				if how == "prefetched" {
					Line(unsafe.Pointer(&memory[at[(i+8)%len(at)]]))
				}
				sum += memory[(uint64(at[i])+sum&1)%words] // each read waits for the one before
			}
			if sum == 1 {
				b.Log(sum)
			}
		})
	}
}
