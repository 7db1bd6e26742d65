package sstable

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// The pieces of a table hold about as many entries each, and no key twice.
func TestSplit(t *testing.T) {
	fs := vfs.NewMem()
	f, err := fs.Create(testName)
	if err != nil {
		t.Fatal(err)
	}
	var c content
	for i := range 1000 {
		c.entries = append(c.entries, point(fmt.Sprintf("key%04d", i), 1, key.Set, "value"))
	}
	if _, err := fill(f, c, Options{BlockBytes: 128}); err != nil {
		t.Fatal(err)
	}
	m, err := f.Map()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(m, testName, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, n := range []int{0, 1, 2, 7, 5000} {
		starts := r.Split(n)
		if n < 100 && len(starts) != max(0, n-1) || len(starts) >= 1000 {
			t.Fatalf("Split(%d) has %d cuts", n, len(starts))
		}
		for i, start := range starts {
			if i > 0 && bytes.Compare(starts[i-1], start) >= 0 {
				t.Fatalf("Split(%d): %q does not follow %q", n, start, starts[i-1])
			}
			if want := fmt.Sprintf("key%04d", 1000*(i+1)/n); n == 7 && string(start)[:5] != want[:5] {
				t.Errorf("Split(%d): cut %d is %q, want about %q", n, i, start, want)
			}
		}
	}
}
