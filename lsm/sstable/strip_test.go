package sstable

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// stored returns buf with the stripped form where restore wants it.
func stored(stripped []byte, count int) []byte {
	return slices.Concat(make([]byte, strippedGap(count)), stripped)
}

// TestStrip: what was stripped is restored to the byte, for keys, versions and values
// of all lengths.
func TestStrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for _, s := range shapes {
		for _, bytesPerBlock := range []int{100, 4096, MaxBlockBytes} {
			b, _ := mustWrite(t, randomContent(rng, s, 300), Options{BlockBytes: bytesPerBlock})
			r := mustOpen(t, b)
			for j := range r.index.blocks {
				var v view
				if err := r.load(j, &v, ignored); err != nil {
					t.Fatal(err)
				}
				payload := v.data
				count := int(little.Uint16(payload[24:]))
				got := stored(appendStripped(nil, payload), count)
				if !restore(got, count) || !bytes.Equal(got, payload) {
					t.Fatalf("%s: block %d of %d entries is not restored", s.name, j, count)
				}
			}
		}
	}
}

// FuzzRestore restores any bytes: nothing panics, and what is restored is a payload
// that strips to the same bytes again.
func FuzzRestore(f *testing.F) {
	for _, payload := range seedBlocks(f) {
		f.Add(appendStripped(nil, payload), little.Uint16(payload[24:]))
	}
	f.Add([]byte{}, uint16(0))
	f.Add(make([]byte, 40), uint16(1))
	f.Fuzz(func(t *testing.T, stripped []byte, count uint16) {
		buf := stored(stripped, int(count))
		if !restore(buf, int(count)) {
			return
		}
		var b block
		if !b.parse(buf, 0) {
			return
		}
		if again := appendStripped(nil, buf); !bytes.Equal(again, stripped) {
			t.Fatalf("%x is stripped as %x", stripped, again)
		}
	})
}
