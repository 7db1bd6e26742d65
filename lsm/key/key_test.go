package key

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func internal(user string, seq SeqNum, kind Kind) Internal {
	return Internal{User: []byte(user), Trailer: MakeTrailer(seq, kind)}
}

// TestOrder lists internal keys as a table would hold them.
func TestOrder(t *testing.T) {
	sorted := []Internal{
		internal("", 3, Set),
		internal("a", MaxSeqNum, Set),
		internal("a", 9, RangeDelete),
		internal("a", 9, Set),
		internal("a", 9, Delete),
		internal("a", 4, Delete),
		internal("a", 0, Set),
		internal("a\x00", 100, Set),
		internal("ab", 0, Set),
		internal("b", 100, Set),
		internal("\xff", 1, Set),
	}
	for i, a := range sorted {
		for j, b := range sorted {
			want := min(max(i-j, -1), 1)
			if got := a.Compare(b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestSeekTrailer: a reader at s finds s itself and everything older, of any
// kind, and nothing newer.
func TestSeekTrailer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		seq, reader := SeqNum(rng.Uint64N(8)), SeqNum(rng.Uint64N(8))
		kind := Kind(rng.Uint64N(256))
		visible := CompareTrailer(SeekTrailer(reader), MakeTrailer(seq, kind)) <= 0
		if visible != (seq <= reader) {
			t.Fatalf("version %d,%v at reader %d: visible = %v", seq, kind, reader, visible)
		}
	}
}

func TestTrailerParts(t *testing.T) {
	for _, seq := range []SeqNum{0, 1, 255, 256, MaxSeqNum} {
		for _, kind := range []Kind{Delete, Set, RangeDelete, 255} {
			tr := MakeTrailer(seq, kind)
			if tr.SeqNum() != seq || tr.Kind() != kind {
				t.Errorf("MakeTrailer(%d, %d) = %d, %d", seq, kind, tr.SeqNum(), tr.Kind())
			}
		}
	}
}

// TestMaxTrailer: as the trailer of an upper bound it excludes every version.
func TestMaxTrailer(t *testing.T) {
	newest := internal("k", MaxSeqNum, RangeDelete)
	bound := Internal{User: []byte("k"), Trailer: MaxTrailer}
	if bound.Compare(newest) >= 0 {
		t.Errorf("%v does not sort before %v", bound, newest)
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		key  Internal
		want string
	}{
		{internal("a", 7, Set), "a#7,SET"},
		{internal("a b\\", 0, Delete), `a\x20b\x5c#0,DEL`},
		{internal("\x10\x00\xff", 1, RangeDelete), `\x10\x00\xff#1,RANGEDEL`},
		{Internal{User: []byte("z"), Trailer: MaxTrailer}, "z#max"},
		{internal("k", 2, 77), "k#2,KIND77"},
	} {
		if got := c.key.String(); got != c.want {
			t.Errorf("String() = %s, want %s", got, c.want)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	user := []byte("key")
	clone := Internal{User: user, Trailer: 1}.Clone()
	user[0] = 'X'
	if !slices.Equal(clone.User, []byte("key")) {
		t.Errorf("clone changed with its source: %v", clone)
	}
}

func TestValid(t *testing.T) {
	for kind, want := range map[Kind]bool{Delete: true, Set: true, RangeDelete: true, ValuePointer: true, 4: false, 255: false} {
		if got := kind.Valid(); got != want {
			t.Errorf("Kind(%d).Valid() = %v, want %v", kind, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for i := range 256 {
		want := []byte{'a', byte(i), 'z'}
		if got, ok := Parse(Format(want)); !ok || !bytes.Equal(got, want) {
			t.Errorf("Parse(Format(%x)) = %x, %v", want, got, ok)
		}
	}
	for _, bad := range []string{`\`, `\x`, `\x1`, `\y12`, `a\xg0`} {
		if got, ok := Parse(bad); ok {
			t.Errorf("Parse(%s) = %x, want none", bad, got)
		}
	}
}
