package vfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// An image is what a slice of bytes would be, however much of it is zeros and whoever shares
// it: what happens to one of two does not happen to the other.
func TestImageIsSliceOfBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		type pair struct {
			m    image
			want []byte
		}
		var m image
		var want []byte
		var others []pair
		for range 20 {
			if rng.IntN(4) == 0 {
				others = append(others, pair{m.share(), bytes.Clone(want)})
			}
			if len(others) > 0 && rng.IntN(4) == 0 { // go on with one that was left behind
				o := &others[rng.IntN(len(others))]
				m, o.m = o.m, m
				want, o.want = o.want, want
			}
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
			part := bytes.Repeat([]byte{0xff}, n)
			if k, _ := m.ReadAt(part, int64(off)); !bytes.Equal(m.bytes(), want) || !bytes.Equal(part[:k], want[min(off, len(want)):min(off+n, len(want))]) {
				t.Fatal("an image and a slice differ")
			}
			for i := range others {
				if !bytes.Equal(others[i].m.bytes(), others[i].want) {
					t.Fatal("an image has changed with one that it shares bytes with")
				}
			}
		}
	}
	if !isZero(zeros[:]) {
		t.Error("the common zeros were written to")
	}
}
