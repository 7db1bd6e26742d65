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
	keys := slices.Sorted(maps.Keys(c)) //sim:ok sorted
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
	return errors.Join(err, it.Close())
}

// walk moves an iterator about over keys.
func walk(it *lsm.Iterator, c content, keys []string, rng *rand.Rand) error {
	at := -1
	for range 2 * len(keys) {
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
