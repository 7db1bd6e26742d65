package item

import "bytes"

// Union returns the set of all members of the sets v and w, which must be of
// one type.
func Union(v, w Value) Value {
	return merge(v, w, func(inV, inW bool) bool { return true })
}

// Difference returns the set of the members of v that are not in w, a set of
// the same type. ok is false if none is left: there is no empty set.
func Difference(v, w Value) (d Value, ok bool) {
	d = merge(v, w, func(inV, inW bool) bool { return inV && !inW })
	return d, d != nil
}

// merge walks two sets of one type in step and returns the set of the members
// that keep accepts, nil if there are none.
func merge(v, w Value, keep func(inV, inW bool) bool) Value {
	out := make([]byte, 2, 2+len(v)+len(w))
	out[0] = byte(v.Type())
	count := 0
	for a, b := v.elements(), w.elements(); len(a)+len(b) > 0; {
		var e Value
		c := compareFirst(a, b)
		if c <= 0 {
			e, a = first(a)
		}
		if c >= 0 {
			e, b = first(b)
		}
		if keep(c <= 0, c >= 0) {
			out = append(out, e...)
			count++
		}
	}
	if count == 0 {
		return nil
	}
	return closeValue(insertUvarint(out, 2, count), 0)
}

// compareFirst compares the first members of two sequences; what has ended
// comes last.
func compareFirst(a, b []byte) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	x, _ := first(a)
	y, _ := first(b)
	return bytes.Compare(x.payload(), y.payload())
}
