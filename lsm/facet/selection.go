package facet

import "github.com/RoaringBitmap/roaring/v2"

// A Selection is what bitmaps know of the rows for which a filter holds: it does
// for all rows in Sure, and for none outside of May. Where tags are missing from
// the bitmaps there are rows in between, and the facet function decides.
//
// Invariant: Sure is a subset of May. Where everything is known both are the same
// pointer. Neither may be changed.
type Selection struct {
	Sure, May *roaring.Bitmap
}

// IsExact reports whether there is nothing left to decide.
func (s Selection) IsExact() bool { return s.Sure == s.May }

func exactly(b *roaring.Bitmap) Selection { return Selection{b, b} }

// Everything is the selection of which nothing is known: every row may match.
func Everything(rows uint32) Selection {
	return Selection{Sure: roaring.New(), May: allRows(rows)}
}

func allRows(rows uint32) *roaring.Bitmap {
	b := roaring.New()
	b.AddRange(0, uint64(rows))
	return b
}

// Select finds the rows for which x holds among as many as given, of which find
// knows those with a tag.
func (x Expr) Select(rows uint32, find func(tag []byte) (Selection, error)) (Selection, error) {
	switch x.op {
	case opHas:
		return find(x.tag)
	case opNot:
		s, err := x.args[0].Select(rows, find)
		if err != nil {
			return Selection{}, err
		}
		return s.not(rows), nil
	case opOr:
		return x.selectOr(rows, find)
	}
	return x.selectAnd(rows, find)
}

func (x Expr) selectOr(rows uint32, find func(tag []byte) (Selection, error)) (Selection, error) {
	union := exactly(roaring.New())
	for i := range x.args {
		s, err := x.args[i].Select(rows, find)
		if err != nil {
			return Selection{}, err
		}
		if i == 0 {
			union = s
			continue
		}
		union = union.combine(s, s, roaring.Or)
	}
	return union, nil
}

// selectAnd first narrows the rows down by what must hold, and then takes away what
// must not: so !x never has to be spread out over all rows, unless it stands alone.
func (x Expr) selectAnd(rows uint32, find func(tag []byte) (Selection, error)) (Selection, error) {
	all, started := Selection{}, false
	for _, negative := range []bool{false, true} {
		for i := range x.args {
			arg := &x.args[i]
			if (arg.op == opNot) != negative {
				continue
			}
			if started && all.May.IsEmpty() {
				return all, nil
			}
			if negative {
				arg = &arg.args[0]
			}
			s, err := arg.Select(rows, find)
			switch {
			case err != nil:
				return Selection{}, err
			case negative && !started:
				all = s.not(rows)
			case negative:
				all = all.combine(Selection{Sure: s.May, May: s.Sure}, s, roaring.AndNot)
			case !started:
				all = s
			default:
				all = all.combine(s, s, roaring.And)
			}
			started = true
		}
	}
	if !started {
		all = exactly(allRows(rows))
	}
	return all, nil
}

func (s Selection) not(rows uint32) Selection {
	if s.IsExact() {
		return exactly(roaring.Flip(s.May, 0, uint64(rows)))
	}
	return Selection{
		Sure: roaring.Flip(s.May, 0, uint64(rows)),
		May:  roaring.Flip(s.Sure, 0, uint64(rows)),
	}
}

// combine applies f to s and operands for each of its sets. The result is exact if s
// and other are.
func (s Selection) combine(operands, other Selection, f func(a, b *roaring.Bitmap) *roaring.Bitmap) Selection {
	if s.IsExact() && other.IsExact() {
		return exactly(f(s.May, operands.May))
	}
	return Selection{Sure: f(s.Sure, operands.Sure), May: f(s.May, operands.May)}
}
