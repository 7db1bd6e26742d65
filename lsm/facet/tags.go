package facet

import "bytes"

// Limits of what a table keeps. Filters stay exact beyond them, but then cost more:
// the facet function is asked about each row that has what is not kept.
const (
	MaxTagBytes  = 255
	MaxTags      = 4096 // different ones in one table
	MaxNameBytes = 255  // of a facet function's name
)

// A Func adds to tags what is to be known of a key with that value. It must be
// deterministic and quick, must not keep the slices, and may be called by several
// tasks at a time.
type Func func(user, value []byte, tags *Tags)

// Tags is the set of tags of one row. The zero value is empty.
type Tags struct {
	bytes []byte
	ends  []int
}

// Add adds a tag, which it copies. Adding one twice does no harm.
func (t *Tags) Add(tag []byte) {
	t.bytes = append(t.bytes, tag...)
	t.ends = append(t.ends, len(t.bytes))
}

// AddPair adds the tag that is name followed by value, without the caller having to
// join them.
func (t *Tags) AddPair(name string, value []byte) {
	t.bytes = append(t.bytes, name...)
	t.Add(value)
}

// Reset empties the set and keeps its memory.
func (t *Tags) Reset() { t.bytes, t.ends = t.bytes[:0], t.ends[:0] }

// Len is the number of tags added.
func (t *Tags) Len() int { return len(t.ends) }

// At is tag i, in the order in which they were added; valid until Reset.
func (t *Tags) At(i int) []byte {
	start := 0
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.bytes[start:t.ends[i]]
}

// Has reports whether tag is in the set.
func (t *Tags) Has(tag []byte) bool {
	for i := range t.ends {
		if bytes.Equal(t.At(i), tag) {
			return true
		}
	}
	return false
}
