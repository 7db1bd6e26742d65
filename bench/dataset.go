package bench

import (
	"fmt"
	"math"
	"sync/atomic"
)

// A dataset is what an engine holds and which generation of each entry a reader
// may see. Entry i has key number 2i.
type dataset struct {
	shape     Shape
	entries   int // when loaded
	valueSize int

	// passes counts the times that one of every so many entries was overwritten: in
	// pass p those for which inPass says so.
	passes uint32
	every  uint64

	ledger *ledger // of the writes that go on while others read; nil before the first
	growth growth
}

func numberOf(entry uint64) uint64   { return 2 * entry }
func absentNear(entry uint64) uint64 { return 2*entry + 1 }

// rawBytes is what keys and values of the loaded entries have.
func (d *dataset) rawBytes() float64 { return float64(d.entries) * float64(KeySize+d.valueSize) }

// inPass reports whether pass p, from 1 on, overwrites the entry.
func (d *dataset) inPass(entry uint64, p uint32) bool {
	return spread(entry+uint64(p)<<40)%d.every == 1
}

// base is the generation of an entry but for what the ledger knows: the last pass
// that it was in.
func (d *dataset) base(entry uint64) uint32 {
	for p := d.passes; p > 0; p-- {
		if d.inPass(entry, p) {
			return p
		}
	}
	return 0
}

// checkAt returns an error unless value is the entry's. Nothing writes meanwhile.
func (d *dataset) checkAt(entry uint64, value []byte) error {
	if !IsValue(value, d.valueSize, numberOf(entry)) {
		return fmt.Errorf("entry %d has a value that was never written: %.40x", entry, value)
	}
	if d.ledger != nil && entry < uint64(d.entries) {
		var seen acked
		d.ledger.before(entry, &seen)
		return d.ledger.check(d, entry, generation(value), &seen)
	}
	if got, want := generation(value), d.base(entry); got != want {
		return fmt.Errorf("entry %d: generation %d instead of %d", entry, got, want)
	}
	return nil
}

// checkScanned is checkAt for the entry with this key.
func (d *dataset) checkScanned(key, value []byte) error {
	n := d.shape.Number(key)
	if n%2 != 0 || n/2 >= uint64(d.entries)+d.growth.next.Load() {
		return fmt.Errorf("key %x was never written", key)
	}
	return d.checkAt(n/2, value)
}

// ledgerWriters is the most that may write into one data set at a time.
const ledgerWriters = 2

// A ledger knows which write of each writer to each entry was acknowledged last. A
// generation from ledgerBase on is (write+1) << 4 | writer.
//
// The writes of one writer to one entry follow each other. So a reader sees a
// write of some writer that is not older than that writer's last acknowledged one,
// and not newer than the one under way.
type ledger [ledgerWriters][]atomic.Uint32

const ledgerBase = 16 // the least generation of the ledger, and more than there are passes

// acked is what each writer had written when a read began.
type acked [ledgerWriters]uint32

// withLedger makes one if there is none.
func (d *dataset) withLedger() *ledger {
	if d.ledger == nil {
		d.ledger = new(ledger)
		for w := range d.ledger {
			d.ledger[w] = make([]atomic.Uint32, d.entries)
		}
	}
	return d.ledger
}

// next is the generation that the writer is about to write.
func (l *ledger) next(writer int, entry uint64) uint32 {
	return (l[writer][entry].Load()+1)<<4 | uint32(writer)
}

// wrote notes that it is acknowledged.
func (l *ledger) wrote(writer int, entry uint64) { l[writer][entry].Add(1) }

// before notes what is acknowledged; call it before the read.
func (l *ledger) before(entry uint64, seen *acked) {
	for w := range l {
		seen[w] = l[w][entry].Load()
	}
}

// check returns an error unless a read that began after seen may see the generation.
func (l *ledger) check(d *dataset, entry uint64, got uint32, seen *acked) error {
	if got < ledgerBase {
		if *seen != (acked{}) || got != d.base(entry) {
			return fmt.Errorf("entry %d: generation %d, although writes %v were acknowledged", entry, got, *seen)
		}
		return nil
	}
	w, n := got&15, got>>4
	if w >= ledgerWriters || n < seen[w] || n > l[w][entry].Load()+1 {
		return fmt.Errorf("entry %d: write %d of writer %d, although writes %v were acknowledged", entry, n, w, *seen)
	}
	return nil
}

// growth counts entries inserted behind the loaded ones by several writers.
type growth struct {
	next atomic.Uint64 // how many were begun

	// open is, per writer, how many were begun when its insert under way began.
	// Invariant: an insert that is not acknowledged is not below every open.
	open [ledgerWriters]atomic.Uint64
}

func (g *growth) begin(writer int) uint64 {
	g.open[writer].Store(g.next.Load())
	return g.next.Add(1) - 1
}

func (g *growth) end(writer int) { g.open[writer].Store(math.MaxUint64) }

// acknowledged returns a number of inserts of which all are acknowledged.
func (g *growth) acknowledged() uint64 {
	n := g.next.Load()
	for w := range g.open {
		n = min(n, g.open[w].Load())
	}
	return n
}

// idle says that no insert is under way.
func (g *growth) idle() {
	for w := range g.open {
		g.end(w)
	}
}
