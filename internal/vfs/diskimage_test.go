package vfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// An image is what a slice of bytes would be, however much of it is zeros.
func TestImageIsSliceOfBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var m image
		var want []byte
		for range 20 {
			off, n := rng.IntN(3000), rng.IntN(2000)
			switch rng.IntN(5) {
			case 0:
				m.resize(int64(n))
				want = append(want, make([]byte, 2000)...)[:n:n]
			case 1:
				bit := rng.IntN(8 * 3000)
				m.flip(int64(bit))
				if bit/8 < len(want) {
					want[bit/8] ^= 1 << (bit % 8)
				}
			default:
				p := make([]byte, n+1)
				if rng.IntN(2) == 0 {
					p = noise(rng, n+1)
				}
				m.write(keep(p), int64(off))
				if more := off + len(p) - len(want); more > 0 {
					want = append(want, make([]byte, more)...)
				}
				copy(want[off:], p)
			}
			got, part := m.clone(), bytes.Repeat([]byte{0xff}, n)
			if k, _ := got.ReadAt(part, int64(off)); !bytes.Equal(got.bytes(), want) || !bytes.Equal(part[:k], want[min(off, len(want)):min(off+n, len(want))]) {
				t.Fatal("an image and a slice differ")
			}
		}
	}
	if !isZero(zeros[:]) {
		t.Error("the common zeros were written to")
	}
}
