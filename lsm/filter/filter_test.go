package filter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

func hashes(prefix string, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = Hash(fmt.Appendf(nil, "%s%08d", prefix, i))
	}
	return out
}

func build(t testing.TB, present []uint64, bitsPerKey int) Filter {
	f, err := New(Append(nil, present, bitsPerKey), Probes(bitsPerKey))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPresentKeysPass(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50, 51, 52, 1000, 30_000} {
		for _, bitsPerKey := range []int{1, 4, 10, 16} {
			present := hashes("in", n)
			f := build(t, present, bitsPerKey)
			for i, h := range present {
				if !f.MayContain(h) {
					t.Fatalf("%d keys, %d bits: key %d does not pass", n, bitsPerKey, i)
				}
			}
		}
	}
}

// TestAbsentKeys holds the rate of absent keys that pass to what the package
// comment says.
func TestAbsentKeys(t *testing.T) {
	for _, c := range []struct {
		bitsPerKey int
		want       float64 // per cent, at most
	}{{4, 16}, {8, 2.8}, {10, 1.2}, {12, 0.6}} {
		f := build(t, hashes("in", 100_000), c.bitsPerKey)
		passed := 0
		absent := hashes("out", 200_000)
		for _, h := range absent {
			if f.MayContain(h) {
				passed++
			}
		}
		got := 100 * float64(passed) / float64(len(absent))
		t.Logf("%d bits per key, %d probes: %.2f %% of absent keys pass", c.bitsPerKey, Probes(c.bitsPerKey), got)
		if got > c.want {
			t.Errorf("%d bits per key: %.2f %% pass, want at most %.2f %%", c.bitsPerKey, got, c.want)
		}
	}
}

func TestZeroFilterRulesNothingOut(t *testing.T) {
	if f := (Filter{}); !f.MayContain(42) {
		t.Error("the zero filter ruled a key out")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ bytes, probes int }{{0, 6}, {63, 6}, {65, 6}, {64, 0}, {64, 8}, {64, -1}} {
		if _, err := New(make([]byte, c.bytes), c.probes); err == nil {
			t.Errorf("New(%d bytes, %d probes) succeeded", c.bytes, c.probes)
		}
	}
}

// TestFormat pins the bits of the drawn format, so that no change of code
// changes what released files mean.
func TestFormat(t *testing.T) {
	if got, want := Hash(nil), uint64(0xef46db3751d8e999); got != want { // from the XXH64 specification
		t.Errorf("Hash = %#x, want %#x", got, want)
	}
	h := uint64(0xC000000000000001) // line 3 of 4
	lines := Append(nil, []uint64{h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h}, 80)
	var want [4 * LineBytes]byte
	x := h
	x *= 0x9E3779B97F4A7C15
	for i := range 7 {
		bit := x >> (55 - 9*i) % 512
		want[3*LineBytes+bit/8] |= 1 << (bit % 8)
	}
	if !bytes.Equal(lines, want[:]) {
		t.Errorf("got  %x\nwant %x", lines, want)
	}
}

func TestMayContainAllocatesNothing(t *testing.T) {
	f := build(t, hashes("in", 1000), 10)
	key := []byte("in00000500")
	if n := testing.AllocsPerRun(100, func() { f.MayContain(Hash(key)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFilter: any bytes that New accepts can be asked anything, and a filter
// made of a hash contains it.
func FuzzFilter(f *testing.F) {
	f.Add(make([]byte, 64), 6, uint64(1))
	f.Add(bytes.Repeat([]byte{0xff}, 128), 7, uint64(1)<<63)
	f.Add([]byte{1, 2, 3}, 1, uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, probes int, h uint64) {
		if filter, err := New(data, probes); err == nil {
			filter.MayContain(h)
		}
		var present []uint64
		for rest := data; len(rest) >= 8; rest = rest[8:] {
			present = append(present, binary.LittleEndian.Uint64(rest))
		}
		bitsPerKey := 1 + int(h%20)
		made := build(t, present, bitsPerKey)
		for _, p := range present {
			if !made.MayContain(p) {
				t.Fatalf("hash %#x does not pass its own filter", p)
			}
		}
	})
}

// BenchmarkMayContain asks a filter for 10 M keys (12.5 MB) about random ones.
func BenchmarkMayContain(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	present := make([]uint64, 10_000_000)
	for i := range present {
		present[i] = rng.Uint64()
	}
	f := build(b, present, 10)
	i := uint64(0)
	b.ResetTimer()
	for b.Loop() {
		i += spread
		f.MayContain(i)
	}
}
