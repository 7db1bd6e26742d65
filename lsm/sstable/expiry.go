package sstable

import "math"

// Expiry says when the entries of a table expire: a summary for who decides which tables to
// merge. Times are nanoseconds since 1970. The zero Expiry is that of a table in which nothing
// does, or of which nobody knows.
type Expiry struct {
	Entries     uint64 // that expire at some time
	First, Last uint64 // when the first and the last of them do

	// Half is when at least half of all entries of the table have expired, up to a
	// thirty-second of the time between First and Last too late; 0: never.
	Half uint64
}

// Expired returns about how many entries have expired at a time.
func (e *Expiry) Expired(now uint64, entries uint64) uint64 {
	switch {
	case e.Entries == 0 || now < e.First:
		return 0
	case now >= e.Last:
		return e.Entries
	case e.Half > 0 && now >= e.Half:
		return entries / 2
	}
	return 0
}

// valid reports whether a summary of so many entries makes sense.
func (e *Expiry) valid(entries uint64) bool {
	if e.Entries == 0 {
		return *e == Expiry{}
	}
	return e.Entries <= entries && 0 < e.First && e.First <= e.Last && e.Last <= math.MaxInt64 &&
		(e.Half == 0 || e.First <= e.Half && e.Half <= e.Last)
}

// Expires notes when the entry added last expires, in nanoseconds since 1970.
func (w *Writer) Expires(at int64) {
	if at > 0 {
		w.expiries.add(uint64(at))
	}
}

// expiries are the times at which entries expire: a histogram of spans of 2^shift
// nanoseconds, which become longer when there are not enough of them to reach.
type expiries struct {
	entries, first, last uint64
	shift                int
	base                 uint64 // span base+i is counts[i]
	counts               [expirySpans]uint64
}

const expirySpans = 64

func (h *expiries) add(at uint64) {
	if h.entries == 0 {
		h.first, h.last, h.base = at, at, at
	}
	h.first, h.last = min(h.first, at), max(h.last, at)
	if h.first>>h.shift < h.base || h.last>>h.shift-h.base >= expirySpans {
		h.widen()
	}
	h.counts[at>>h.shift-h.base]++
	h.entries++
}

// widen makes the spans reach from first to last.
func (h *expiries) widen() {
	old := *h
	for h.last>>h.shift-h.first>>h.shift >= expirySpans {
		h.shift++
	}
	h.base, h.counts = h.first>>h.shift, [expirySpans]uint64{}
	for i, n := range old.counts {
		if n > 0 {
			h.counts[(old.base+uint64(i))>>(h.shift-old.shift)-h.base] += n
		}
	}
}

// summary sums up what was added, of a table of so many entries.
func (h *expiries) summary(entries uint64) Expiry {
	e := Expiry{Entries: h.entries, First: h.first, Last: h.last}
	sum := uint64(0)
	for i, n := range h.counts {
		if sum += n; n > 0 && 2*sum >= entries {
			e.Half = min((h.base+uint64(i)+1)<<h.shift-1, h.last)
			break
		}
	}
	return e
}
