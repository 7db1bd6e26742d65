package lsm

import (
	"bytes"
	"encoding/binary"
)

// fences lead from a user key to the table of a level that may hold it. Of each table
// they have eight bytes of the last user key, one behind the other; so a search reads
// two or three cache lines, where the keys themselves would be three dependent misses
// a step.
type fences struct {
	prefix  []byte   // of the last keys of all tables
	windows []uint64 // the eight bytes behind it, as a big-endian integer, zeros behind the end
}

// newFences returns the fences of tables that are sorted and lie side by side.
func newFences(tables []*table) fences {
	if len(tables) == 0 {
		return fences{}
	}
	first, last := tables[0].meta.Largest.User, tables[len(tables)-1].meta.Largest.User
	n := 0
	for n < min(len(first), len(last)) && first[n] == last[n] {
		n++
	}
	f := fences{prefix: first[:n], windows: make([]uint64, len(tables))}
	for i, t := range tables {
		f.windows[i] = windowAt(t.meta.Largest.User, n)
	}
	return f
}

// windowAt is the eight bytes of user from position from on.
func windowAt(user []byte, from int) uint64 {
	if len(user)-from >= 8 {
		return binary.BigEndian.Uint64(user[from:])
	}
	var b [8]byte
	copy(b[:], user[from:])
	return binary.BigEndian.Uint64(b[:])
}

// find returns the tables [lower, upper) of which one may be the first whose last user
// key is not less than user. If none of them is, it is table upper.
func (f *fences) find(user []byte) (lower, upper int) {
	if !bytes.HasPrefix(user, f.prefix) {
		if bytes.Compare(user, f.prefix) < 0 {
			return 0, 0
		}
		return len(f.windows), len(f.windows)
	}
	w := windowAt(user, len(f.prefix))
	lower, upper = 0, len(f.windows)
	for lower < upper {
		mid := int(uint(lower+upper) / 2)
		if f.windows[mid] < w {
			lower = mid + 1
		} else {
			upper = mid
		}
	}
	for upper = lower; upper < len(f.windows) && f.windows[upper] == w; {
		upper++
	}
	return lower, upper
}
