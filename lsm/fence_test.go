package lsm

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

// TestFences compares the search with the obvious one, for keys that share prefixes, are
// prefixes of each other, or are short.
func TestFences(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	random := func(prefix string) []byte {
		k := []byte(prefix)
		for range rng.IntN(12) {
			k = append(k, "\x00\x01a\xff"[rng.IntN(4)])
		}
		return k
	}
	for round := range 2000 {
		prefix := []string{"", "p", "a longer prefix"}[round%3]
		var last [][]byte
		for range rng.IntN(20) {
			last = append(last, random(prefix))
		}
		slices.SortFunc(last, bytes.Compare)
		last = slices.CompactFunc(last, bytes.Equal)
		var tables []*table
		for _, k := range last {
			tables = append(tables, &table{meta: &manifest.Table{Largest: key.Internal{User: k}}})
		}
		f := newFences(tables)
		users := append([][]byte{nil, []byte("\xff\xff"), random(prefix), random("")}, last...)
		for _, user := range users {
			want := sort.Search(len(last), func(i int) bool { return bytes.Compare(last[i], user) >= 0 })
			if lower, upper := f.find(user); want < lower || want > upper {
				t.Fatalf("%q among %q: table %d, fences say %d to %d", user, last, want, lower, upper)
			}
		}
	}
}
