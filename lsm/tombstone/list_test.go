package tombstone

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

func ranges(text string) (rs []Range) {
	for _, part := range strings.Fields(text) {
		var r Range
		var span string
		fmt.Sscanf(part, "%s", &span)
		bounds, seq, _ := strings.Cut(span, "#")
		start, end, _ := strings.Cut(bounds, "-")
		r.Start, r.End = []byte(start), []byte(end)
		fmt.Sscan(seq, &r.Seq)
		rs = append(rs, r)
	}
	return rs
}

func text(l *List) string {
	var parts []string
	for f := range l.All() {
		parts = append(parts, f.String())
	}
	return strings.Join(parts, " ")
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a-c#1", "[a, c)#1"},
		{"c-a#1 b-b#2", ""},
		{"a-m#7 c-z#4", "[a, c)#7 [c, m)#7,4 [m, z)#4"},
		{"a-c#1 c-e#2", "[a, c)#1 [c, e)#2"},
		{"a-c#1 x-z#2", "[a, c)#1 [x, z)#2"},
		{"a-z#1 b-c#3 b-c#2", "[a, b)#1 [b, c)#3,2,1 [c, z)#1"},
		{"a-c#5 a-c#5", "[a, c)#5"},
		{"a-b#1 a-c#2 a-d#3", "[a, b)#3,2,1 [b, c)#3,2 [c, d)#3"},
	} {
		if got := text(Build(ranges(tt.in))); got != tt.want {
			t.Errorf("Build(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestWithin(t *testing.T) {
	l := Build(ranges("a-m#7 c-z#4"))
	for _, tt := range []struct{ lower, upper, want string }{
		{"", "", "[a, c)#7 [c, m)#7,4 [m, z)#4"},
		{"b", "d", "[b, c)#7 [c, d)#7,4"},
		{"c", "m", "[c, m)#7,4"},
		{"n", "", "[n, z)#4"},
		{"", "a", ""},
		{"z", "", ""},
	} {
		var parts []string
		for f := range l.Within(bound(tt.lower), bound(tt.upper)) {
			parts = append(parts, f.String())
		}
		if got := strings.Join(parts, " "); got != tt.want {
			t.Errorf("Within(%q, %q) = %s, want %s", tt.lower, tt.upper, got, tt.want)
		}
	}
}

func bound(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// Cover and Merge against looking at every range.
func TestCoverModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		rs := make([]Range, rng.IntN(12))
		for i := range rs {
			rs[i] = Range{[]byte{byte(rng.IntN(12))}, []byte{byte(rng.IntN(12))}, key.SeqNum(1 + rng.IntN(9))}
		}
		half := rng.IntN(len(rs) + 1)
		lists := []*List{Build(slices.Clone(rs)), Merge(Build(rs[:half]), nil, Build(rs[half:]))}
		for k := range byte(14) {
			for snapshot := range key.SeqNum(11) {
				var want key.SeqNum
				for _, r := range rs {
					if r.Seq <= snapshot && bytes.Compare(r.Start, []byte{k}) <= 0 && bytes.Compare([]byte{k}, r.End) < 0 {
						want = max(want, r.Seq)
					}
				}
				for i, l := range lists {
					if got := l.Cover([]byte{k}, snapshot); got != want {
						t.Fatalf("seed %d: list %d of %v: Cover(%d, %d) = %d, want %d", seed, i, rs, k, snapshot, got, want)
					}
				}
			}
		}
	}
}

// Around is Cover, and its range is where Cover is the same.
func TestAroundModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		rs := make([]Range, rng.IntN(6))
		for i := range rs {
			rs[i] = Range{[]byte{byte(rng.IntN(12))}, []byte{byte(rng.IntN(12))}, key.SeqNum(1 + rng.IntN(9))}
		}
		l := Build(rs)
		for k := range byte(14) {
			for snapshot := range key.SeqNum(11) {
				got, start, end := l.Around([]byte{k}, snapshot)
				if want := l.Cover([]byte{k}, snapshot); got != want {
					t.Fatalf("seed %d: %v: Around(%d, %d) = %d, want %d", seed, l, k, snapshot, got, want)
				}
				for other := range byte(14) {
					within := (start == nil || bytes.Compare(start, []byte{other}) <= 0) && (end == nil || bytes.Compare([]byte{other}, end) < 0)
					if within && l.Cover([]byte{other}, snapshot) != got || other == k && !within {
						t.Fatalf("seed %d: %v: Around(%d, %d) = %d in [%v, %v), which is wrong for %d", seed, l, k, snapshot, got, start, end, other)
					}
				}
			}
		}
	}
}

func TestNilListIsEmpty(t *testing.T) {
	var l *List
	if !l.Empty() || l.Cover([]byte("a"), 9) != 0 || len(l.Ranges()) != 0 || Merge(l, l) != nil {
		t.Error("a nil list covers something")
	}
}
