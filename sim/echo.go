package sim

// withoutEchoes returns the requests that a search has to place. An echo changes nothing, and is
// answered by what another request leaves behind that began after it and ended before it: where that
// one has a place, the echo has one just behind it. Reads that took long are why a search would not
// end: each may be tried between any two others.
func withoutEchoes(operations []*GroupOp) (kept []*GroupOp) {
	isEcho := make([]bool, len(operations))
	for i, o := range operations {
		for k := 0; k < len(operations) && !isEcho[i]; k++ {
			isEcho[i] = k != i && !isEcho[k] && o.echoes(operations[k])
		}
		if !isEcho[i] {
			kept = append(kept, o)
		}
	}
	return kept
}

// echoes reports whether o changes nothing and can be answered as it was right after by.
func (o *GroupOp) echoes(by *GroupOp) bool {
	if o.Outcome == Unknown || o.Outcome == Done && !o.reads() || by.Outcome != Done ||
		o.Call > by.Call || by.Return == 0 || o.Return != 0 && o.Return < by.Return {
		return false
	}
	left := by.leaves()
	if o.Outcome == Refused {
		for i := range o.Parts {
			p := &o.Parts[i]
			if held := left[p.Register]; p.Refused && held != nil && !p.holdsOf(*held) && (p.Saw == nil || *p.Saw == *held) {
				return true
			}
		}
		return false
	}
	for i := range o.Parts {
		p := &o.Parts[i]
		held := left[p.Register]
		if held == nil || !p.holdsOf(*held) || p.Saw != nil && *p.Saw != *held {
			return false
		}
	}
	return true
}

// leaves returns what is known of the registers after a request that was done; nil: nothing.
func (o *GroupOp) leaves() (held [groupSize]*string) {
	for i := range o.Parts {
		switch p := &o.Parts[i]; p.Kind {
		case Put:
			held[p.Register] = &p.Value
		case Delete:
			held[p.Register] = new(string)
		default:
			held[p.Register] = p.Saw
		}
	}
	return held
}
