package lsm

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// A Pin is an iterator or a snapshot that has not been closed. An iterator keeps
// memtables and table files from being given up, a snapshot old versions from being
// dropped: one that is forgotten costs space until the process ends.
type Pin struct {
	Snapshot bool   // else an iterator
	Seq      uint64 // of the last operation that it sees
	Stack    string // who made it: a line "function file:line" for each caller, innermost first
}

func (p Pin) String() string {
	what := "iterator"
	if p.Snapshot {
		what = "snapshot"
	}
	caller, _, _ := strings.Cut(p.Stack, "\n")
	return fmt.Sprintf("%s at seq %d, made by %s", what, p.Seq, caller)
}

// pins remember what is open, with Options.TrackPins.
type pins struct {
	mu   env.Leaf
	last uint64
	open map[uint64]pin // by number; nil: nobody wants to know
}

type pin struct {
	isSnapshot bool
	seq        uint64
	callers    []uintptr
}

const maxCallers = 32

// add remembers what is being made and returns its number. skip is how many callers
// lie between add and the one who asked for it.
func (p *pins) add(isSnapshot bool, seq uint64, skip int) uint64 {
	if p.open == nil {
		return 0
	}
	callers := make([]uintptr, maxCallers)
	callers = callers[:runtime.Callers(2+skip, callers)]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	p.open[p.last] = pin{isSnapshot, seq, callers}
	return p.last
}

func (p *pins) remove(number uint64) {
	if p.open == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, number)
}

// Pins returns the iterators and snapshots that are open, oldest first, with who made
// them. It returns nothing without Options.TrackPins; Metrics counts them all the same.
func (db *DB) Pins() []Pin {
	p := &db.pins
	var numbers []uint64
	byNumber := map[uint64]Pin{}
	p.mu.Lock()
	for number, o := range p.open {
		numbers = append(numbers, number)
		byNumber[number] = Pin{Snapshot: o.isSnapshot, Seq: o.seq, Stack: stackOf(o.callers)}
	}
	p.mu.Unlock()
	slices.Sort(numbers)
	var all []Pin
	for _, number := range numbers {
		all = append(all, byNumber[number])
	}
	return all
}

func stackOf(callers []uintptr) string {
	var b strings.Builder
	frames := runtime.CallersFrames(callers)
	for more := len(callers) > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&b, "%s %s:%d\n", f.Function, f.File, f.Line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// reportPins tells of what is open when the database is closed.
func (db *DB) reportPins() {
	m := db.Metrics()
	if m.Iterators+m.Snapshots > 0 {
		db.o.Events.pinned(PinEvent{Iterators: m.Iterators, Snapshots: m.Snapshots, Pins: db.Pins()})
	}
}
