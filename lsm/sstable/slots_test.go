package sstable

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		key  string
		from int
		want string // eight bytes
	}{
		{"abcdefghij", 0, "abcdefgh"},
		{"abcdefghij", 2, "cdefghij"},
		{"abcdefghij", 3, "defghij\x00"},
		{"abcdefghij", 9, "j\x00\x00\x00\x00\x00\x00\x00"},
		{"abcdefghij", 10, "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"abcdefghij", 99, "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"abc", 0, "abc\x00\x00\x00\x00\x00"},
		{"abc", 1, "bc\x00\x00\x00\x00\x00\x00"},
		{"abc", 99, "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"", 0, "\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		if got, want := window([]byte(c.key), c.from), binary.BigEndian.Uint64([]byte(c.want)); got != want {
			t.Errorf("window(%q, %d) = %016x, want %016x", c.key, c.from, got, want)
		}
	}
}

func TestCommonPrefix(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 0}, {"a", "b", 0}, {"ab", "a", 1}, {"same", "same", 4},
		{"0123456789", "0123456x89", 7}, {"01234567", "0123456789", 8},
		{"0123456789abcdefgh", "0123456789abcdefgX", 17},
	} {
		if got := commonPrefix([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("commonPrefix(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestHeads: heads never decrease, start at 0, and fill the bits they have.
func TestHeads(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		windows := randomWindows(rng, 2+rng.IntN(100))
		for _, headBits := range []int{entryHeadBits, blockHeadBits} {
			base, last := windows[0], windows[len(windows)-1]
			s := spreadOver(base, last, headBits)
			before := uint64(0)
			for i, w := range windows {
				head, ok := s.head(w, headBits)
				if !ok || head < before || i == 0 && head != 0 {
					t.Fatalf("windows %x: head of %x is %d, %v; the one before %d", windows, w, head, ok, before)
				}
				before = head
			}
			if most := uint64(1)<<headBits - 1; last-base > most && before < most-1 {
				t.Fatalf("windows from %x to %x: last head is %d of %d", base, last, before, most)
			}
			if base > 0 {
				if head, ok := s.head(base-1, headBits); ok || head != 0 {
					t.Fatalf("a window below the base has head %d, %v", head, ok)
				}
			}
		}
	}
}

// randomWindows are sorted, over ranges from tiny to all.
func randomWindows(rng *rand.Rand, n int) []uint64 {
	windows := make([]uint64, n)
	base, shift := rng.Uint64(), rng.IntN(64)
	for i := range windows {
		windows[i] = base>>1 + rng.Uint64()>>1>>shift
	}
	slices.Sort(windows)
	return windows
}

// TestSearchSlots compares both searches with a plain one, for heads that are
// evenly spread, clustered and all equal.
func TestSearchSlots(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		heads := make([]int, rng.IntN(300))
		limit := 1 << rng.IntN(entryHeadBits+1)
		offset := rng.IntN(1<<entryHeadBits - limit + 1)
		for i := range heads {
			heads[i] = offset + rng.IntN(limit)
		}
		slices.Sort(heads)
		narrow, wide := slotsOf(heads)
		for range 50 {
			head := rng.IntN(1 << entryHeadBits)
			if len(heads) > 0 && rng.IntN(2) == 0 {
				head = heads[rng.IntN(len(heads))]
			}
			lower := sort.SearchInts(heads, head)
			upper := sort.SearchInts(heads, head+1)
			if l, u := searchSlots32(narrow, len(heads), uint64(head)); l != lower || u != upper {
				t.Fatalf("heads %v: searchSlots32(%d) = %d, %d; want %d, %d", heads, head, l, u, lower, upper)
			}
			if l, u := searchSlots64(wide, uint64(head)<<8); l != lower || u != upper {
				t.Fatalf("heads %v: searchSlots64(%d) = %d, %d; want %d, %d", heads, head, l, u, lower, upper)
			}
		}
	}
}

// slotsOf makes slots with ascending places.
func slotsOf(heads []int) (narrow []byte, wide []uint64) {
	for i, h := range heads {
		narrow = little.AppendUint32(narrow, uint32(h)<<16|uint32(i))
		wide = append(wide, uint64(h)<<8<<offsetBits|uint64(i))
	}
	return append(narrow, 0xff, 0xff, 0xff, 0xff), wide // what follows must not matter
}

func TestUpperBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for n := range 200 {
		a := randomWindows(rng, n+1)[:n]
		for _, w := range append(slices.Clone(a), 0, 1<<64-1, rng.Uint64()) {
			want := sort.Search(len(a), func(i int) bool { return a[i] > w })
			if got := upperBound(a, w); got != want {
				t.Fatalf("upperBound(%x, %x) = %d, want %d", a, w, got, want)
			}
		}
	}
}

// FuzzHeads: two keys with a common prefix compare like their heads, where the
// heads differ.
func FuzzHeads(f *testing.F) {
	f.Add([]byte("user1"), []byte("user2"), []byte("user11"))
	f.Add([]byte(""), []byte("\xff"), []byte("\x00"))
	f.Add([]byte("aaaaaaaaaaaa"), []byte("aaaaaaaaaaab"), []byte("aaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		keys := [][]byte{a, b, c}
		slices.SortFunc(keys, bytes.Compare)
		prefix := commonPrefix(keys[0], keys[2])
		s := spreadOver(window(keys[0], prefix), window(keys[2], prefix), entryHeadBits)
		var heads []uint64
		for _, k := range keys {
			head, ok := s.head(window(k, prefix), entryHeadBits)
			if !ok {
				t.Fatalf("%q has no head among %q", k, keys)
			}
			heads = append(heads, head)
		}
		if !slices.IsSorted(heads) {
			t.Fatalf("keys %q have heads %d", keys, heads)
		}
	})
}
