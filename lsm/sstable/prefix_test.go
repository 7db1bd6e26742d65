package sstable

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/statordb/stator/lsm/filter"
	"github.com/statordb/stator/lsm/key"
)

// testSplit takes all up to the first digit as the prefix, and that digit.
func testSplit(user []byte) int {
	return 1 + bytes.IndexAny(user, "0123456789")
}

func prefixTable(t *testing.T, split SplitFunc) *Reader {
	var c content
	for i := range 2000 {
		user := fmt.Appendf(nil, "p%03d/%d", 2*(i/4), i)
		c.entries = append(c.entries, entry{Internal: key.Internal{User: user, Trailer: key.MakeTrailer(9, key.Set)}})
	}
	c.entries = append(c.entries, entry{Internal: key.Internal{User: []byte("q"), Trailer: key.MakeTrailer(9, key.Set)}})
	sortEntries(c.entries)
	return build(t, c, Options{Number: 7, Split: split, SplitName: "name"})
}

func upToSlash(user []byte) int { return 1 + bytes.IndexByte(user, '/') }

// The filter passes every prefix of the table, and few others.
func TestPrefixFilter(t *testing.T) {
	r := prefixTable(t, upToSlash)
	f, err := r.PrefixFilter("name")
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	wrong := 0
	for i := range 1000 {
		passes := f.MayContain(filter.Hash(fmt.Appendf(nil, "p%03d/", i)))
		if i%2 == 0 && !passes {
			t.Errorf("prefix %d is ruled out", i)
		}
		if i%2 == 1 && passes {
			wrong++
		}
	}
	if wrong > 25 {
		t.Errorf("%d of 500 absent prefixes pass", wrong)
	}
	if other, err := r.PrefixFilter("other"); other != nil || err != nil {
		t.Errorf("the filter answers for another function: %v", err)
	}
	if err := r.VerifyWith(Functions{Split: upToSlash, SplitName: "name"}); err != nil {
		t.Error(err)
	}
	// A function that splits otherwise and keeps its name is found out.
	three := func(user []byte) int { return min(3, len(user)) }
	if err := r.VerifyWith(Functions{Split: three, SplitName: "name"}); !isDamage(err) {
		t.Errorf("VerifyWith of another function: %v", err)
	}
	if r.ResidentBytes() <= r.properties.IndexBytes+r.properties.FilterBytes {
		t.Error("the filter takes no memory")
	}
}

// A function that looks behind the prefix might have the filter rule out what is there; so
// there is none.
func TestPrefixFilterOfBadFunction(t *testing.T) {
	upToLetter := func(user []byte) int { return bytes.IndexByte(user, '/') } // looks at what is behind
	r := prefixTable(t, upToLetter)
	if f, err := r.PrefixFilter("name"); f != nil || err != nil {
		t.Errorf("there is a filter: %v", err)
	}
}
