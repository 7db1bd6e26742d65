package partition

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// CheckMemory compares what the partition has in memory with what it would have if it were opened now, on what its store says:
// whatever follows the log beside the store must be the same, or a replica that was started again
// would go on as something else than the others. It returns nil, too, if an entry is being applied, or was
// meanwhile. What differs while a snapshot is being installed need not be so a moment later.
//
// It is for simulations: nothing else may use the partition in another thread.
func (p *Partition) CheckMemory() error {
	applied := p.applied
	isAtRest := func() bool {
		return p.broken == nil && p.applied == applied && p.scratch.index <= applied && (p.Config() != nil || applied == 0)
	}
	if !isAtRest() {
		return nil
	}
	fresh := &Partition{db: p.db, group: p.group}
	err := fresh.load()
	if err == nil && p.window.loaded {
		err = fresh.loadWindow()
	}
	if !isAtRest() || err == nil && fresh.applied != applied {
		return nil
	}
	if err != nil {
		return err
	}
	for _, part := range memory {
		if mine, stored := part.of(p), part.of(fresh); mine != stored {
			return fmt.Errorf("partition %d as of entry %d: in memory its %s are %s, and in the store %s", p.group, applied, part.name, mine, stored)
		}
	}
	return p.checkShown()
}

// memory is what a partition keeps of its store, as texts that are equal if it is.
var memory = []struct {
	name string
	of   func(p *Partition) string
}{
	{"counters", func(p *Partition) string {
		c := p.counters()
		c.changeBytes = 0
		return fmt.Sprintf("%+v", c)
	}},
	{"hashes and schema", func(p *Partition) string {
		if c := p.Config(); c != nil {
			return fmt.Sprintf("%x", c.append(nil))
		}
		return ""
	}},
	{"members", func(p *Partition) string { return fmt.Sprintf("%x, %+v", p.members, p.restored) }},
	{"birth", func(p *Partition) string {
		if b := p.Birth(); b != nil {
			return fmt.Sprintf("%x", b.append(nil))
		}
		return ""
	}},
	{"sources", func(p *Partition) string { return fmt.Sprint(p.sources) }}, // sorted
	{"requests", func(p *Partition) string {
		if !p.window.loaded {
			return ""
		}
		return p.window.text()
	}},
	{"transactions", func(p *Partition) string {
		if c := p.Config(); c == nil || c.Entries {
			return ""
		}
		return p.txns.text()
	}},
}

// text has all that a window remembers.
func (w *window) text() string {
	b := fmt.Appendf(nil, "%d to %d in %d bytes, floors %v, ids %v:", w.first, w.next, w.bytes, w.floors, len(w.ids))
	for sequence := w.first; sequence < w.next; sequence++ {
		record := *w.at(sequence)
		for id, offset := range requestsOf(record) {
			if w.ids[id] != (windowPlace{sequence, offset}) {
				b = fmt.Appendf(b, " %v is unknown", id)
			}
		}
		b = fmt.Appendf(b, " %x", crc32.Checksum(record, castagnoli))
	}
	return string(b)
}

// text has all of it that Apply owns.
func (t *transactions) text() string {
	b := fmt.Appendf(nil, "checked %v, floor %v, marks %+v, some: %t;", t.checked, t.ledger.Floor, t.marks, t.exists)
	for _, row := range slices.Sorted(maps.Keys(t.items)) { //sim:ok sorted
		o := t.items[row]
		b = fmt.Appendf(b, " %x: %v at %x %08x", row, o.id, o.hash, crc32.Checksum(o.append(nil), castagnoli))
		if !slices.Contains(t.keys[o.id], row) {
			b = append(b, ", not by its transaction"...)
		}
	}
	b = fmt.Appendf(b, " of %d;", len(t.keys))
	for _, id := range slices.SortedFunc(maps.Keys(t.decisions), compareIDs) { //sim:ok sorted
		b = fmt.Appendf(b, " %v %s", id, t.decisions[id].text())
	}
	return string(b)
}

func (d decision) text() string {
	if d.staged != nil {
		return fmt.Sprintf("%v at %v, hash %x, %x", d.outcome, d.at, d.hash, d.staged.append(nil, d.at))
	}
	return fmt.Sprintf("%v at %v, hash %x", d.outcome, d.at, d.hash)
}

// checkShown compares what readers are shown with what is so after the last entry.
func (p *Partition) checkShown() error {
	t := &p.txns
	isBusy := len(t.items)+len(t.decisions) > 0
	sameDecision := func(a, b decision) bool { return a.text() == b.text() }
	if p.absent.Load() != uint64(p.maxDelete) || t.any.Load() != (len(t.items) > 0) || t.busy.Load() != isBusy ||
		!maps.Equal(t.shown, t.items) || !maps.EqualFunc(t.told, t.decisions, sameDecision) || t.count != t.marks {
		return fmt.Errorf("partition %d as of entry %d: readers are shown %d taken items of %d, %d decisions of %d, marks %+v of %+v, absent since %d, not %d; some %t, busy %t",
			p.group, p.applied, len(t.shown), len(t.items), len(t.told), len(t.decisions), t.count, t.marks, p.absent.Load(), p.maxDelete, t.any.Load(), t.busy.Load())
	}
	return nil
}
