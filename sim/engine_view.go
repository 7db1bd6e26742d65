package sim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/statordb/stator/lsm"
)

// A lonerView is what can be read of the store, or of a moment of it.
type lonerView interface {
	Get(user, dst []byte) ([]byte, error)
	NewIter(lsm.IterOptions) (*lsm.Iterator, error)
	NewFilteredIter(lsm.IterOptions, lsm.Filter) (*lsm.FilteredIter, error)
}

// A mover moves over keys.
type mover interface {
	SeekGE(user []byte) bool
	SeekLT(user []byte) bool
	Next() bool
	Prev() bool
	Key() []byte
	Value() []byte
	Err() error
}

// firstByte gives a value a tag: its first byte.
func firstByte(_, value []byte, tags *lsm.Tags) {
	if len(value) > 0 {
		tags.Add(value[:1])
	}
}

// read reads all that a view shows.
func read(v lonerView) (content, error) {
	it, err := v.NewIter(lsm.IterOptions{})
	if err != nil {
		return nil, err
	}
	c := content{}
	for ok := it.First(); ok; ok = it.Next() {
		c[string(it.Key())] = string(it.Value())
	}
	return c, errors.Join(it.Err(), it.Close())
}

// compare demands that a view shows what it has shown: key by key, and to an iterator that has bounds, which goes forward
// or backward and turns around.
func compare(v lonerView, c content, rng *rand.Rand) error {
	keys := slices.Sorted(maps.Keys(c))
	for _, k := range keys {
		if got, err := v.Get([]byte(k), nil); err != nil || string(got) != c[k] {
			return fmt.Errorf("a get of %s shows %q, %v, and an iterator %q", k, got, err, c[k])
		}
	}
	for range 4 {
		k := fmt.Sprintf("h%d/%0*d", rng.IntN(3), 2+rng.IntN(2), rng.IntN(24))
		if _, is := c[k]; is {
			continue
		}
		if got, err := v.Get([]byte(k), nil); !errors.Is(err, lsm.ErrNotFound) {
			return fmt.Errorf("a get of %s shows %q, %v, and an iterator nothing", k, got, err)
		}
	}
	var o lsm.IterOptions
	if rng.IntN(2) == 0 {
		o.Prefix = fmt.Appendf(nil, "h%d/%d", rng.IntN(3), rng.IntN(3))[:3+rng.IntN(2)]
		keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, string(o.Prefix)) })
	} else if len(keys) > 0 {
		o.Lower = []byte(keys[rng.IntN(len(keys))])
		o.Upper = bytes.Clone(append(slices.Clone(o.Lower[:2]), '0'))
		keys = slices.DeleteFunc(keys, func(k string) bool { return k < string(o.Lower) || k >= string(o.Upper) })
	}
	it, err := v.NewIter(o)
	if err != nil {
		return err
	}
	err = walk(it, c, keys, rng)
	if err = errors.Join(err, it.Close()); err != nil {
		return err
	}
	return compareFiltered(v, c, o, keys, rng)
}

// compareFiltered is compare for an iterator that shows the values with one tag, if the store has any.
func compareFiltered(v lonerView, c content, o lsm.IterOptions, keys []string, rng *rand.Rand) error {
	tag := fmt.Append(nil, 1+rng.IntN(4))
	it, err := v.NewFilteredIter(o, lsm.HasTag(tag))
	if errors.Is(err, lsm.ErrNoFacets) {
		return nil
	}
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(c[k], string(tag)) })
	if err = errors.Join(walk(it, c, keys, rng), it.Close()); err != nil {
		return fmt.Errorf("of values that begin with %s: %w", tag, err)
	}
	return nil
}

// walk moves an iterator about over keys.
func walk(it mover, c content, keys []string, rng *rand.Rand) error {
	at := -1
	for range 1 + 2*len(keys) {
		var ok bool
		move := rng.IntN(16)
		switch {
		case move == 0:
			k := fmt.Sprintf("h%d/%02d", rng.IntN(3), rng.IntN(24))
			at, _ = slices.BinarySearch(keys, k)
			ok = it.SeekGE([]byte(k))
		case move == 1:
			k := fmt.Sprintf("h%d/%02d", rng.IntN(3), rng.IntN(24))
			at, _ = slices.BinarySearch(keys, k)
			at--
			ok = it.SeekLT([]byte(k))
		case move < 4:
			at = max(at-1, -1)
			ok = it.Prev()
		default:
			at = min(at+1, len(keys))
			ok = it.Next()
		}
		if want := at >= 0 && at < len(keys); ok != want {
			return fmt.Errorf("an iterator stands (%v) or not (%v) at place %d of %v: %v", ok, want, at, keys, it.Err())
		}
		if ok && (string(it.Key()) != keys[at] || string(it.Value()) != c[keys[at]]) {
			return fmt.Errorf("an iterator stands at %s=%q, where %s=%q is", it.Key(), it.Value(), keys[at], c[keys[at]])
		}
	}
	return it.Err()
}
