package lsm

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A StallReason says what writers wait for.
type StallReason int

// The reasons.
const (
	StallMemtables StallReason = iota // flushing is behind
	StallL0                           // compaction of level 0 is behind
	StallDebt                         // compaction of all levels is behind
	stallReasons
)

func (r StallReason) String() string {
	return [...]string{"memtables", "L0", "debt"}[r]
}

// Writers are slowed down as soon as background work falls behind, in proportion,
// so that they never run into a wall: load goes from 0 (no delay) to fullLoad (no
// more writes), and in between writes get a share of the measured drain rate.
const (
	fullLoad = 1000

	maxMemtables = 4 // budget of memory, in memtables
	slowL0       = 2 // level 0 slows writers down at so many times compaction.Shape.L0
	stopL0       = 6 // and stops them at so many

	// What compaction owes slows writers down from so many times Options.BaseBytes on. It
	// never stops them: between the two, they get down to a sixteenth of what is
	// compacted, so it cannot grow without end.
	slowDebt = 16
	mostDebt = 64

	stallPoll = 2 * time.Millisecond
	maxDelay  = 50 * time.Millisecond
	maxDebt   = time.Second      // a burst is forgiven beyond this, or it would slow writers long after it
	minDelay  = time.Millisecond // shorter ones are put off: sleeping is not that exact
)

// Admit is asked by a writer before it logs its write: it returns at once, or later
// when background work is behind, or with an error when there is no room for more:
// then it matches the error of the last flush or compaction (vfs.ErrNoSpace), and
// the call may be repeated later. Apply does this by itself when the database has
// a log.
func (db *DB) Admit() error {
	if load, _ := db.load(); load == 0 {
		db.pacer.rate.Store(0)
		return db.refused()
	}
	return db.admitSlowly()
}

func (db *DB) admitSlowly() error {
	var stop *stop
	for {
		if err := db.refused(); err != nil {
			return err
		}
		load, reason := db.load()
		if load < fullLoad {
			stop.end(db)
			db.delay(load, reason)
			return nil
		}
		if err := db.backgroundErr(reason); err != nil {
			stop.end(db)
			return fmt.Errorf("lsm: write refused: %w", err)
		}
		if stop == nil {
			stop = db.beginStop(reason)
		}
		db.e.Sleep(stallPoll)
	}
}

// load returns how far background work is behind, from 0 to fullLoad, and what is
// the worst.
func (db *DB) load() (load int, reason StallReason) {
	s := db.current.Load()
	if len(s.sealed) > 0 {
		bytes := s.active.Bytes()
		for _, m := range s.sealed {
			bytes += m.Bytes()
		}
		// Another memtable may fill up while as many as possible are being flushed.
		load = share(bytes, (1+flushers)*db.o.MemtableBytes, maxMemtables*db.o.MemtableBytes)
	}
	if db.stuckL0.Load() {
		return load, reason
	}
	v := s.version
	if n, normal := len(v.levels[0]), v.shape.L0; normal > 0 && n > slowL0*normal {
		if l0 := share(n, slowL0*normal, stopL0*normal); l0 > load {
			load, reason = l0, StallL0
		}
	}
	if debt := share(int(v.shape.Debt), slowDebt*db.o.BaseBytes, mostDebt*db.o.BaseBytes); debt > load {
		load, reason = min(debt, fullLoad-1), StallDebt
	}
	return load, reason
}

// share returns where n lies between low (0) and high (fullLoad).
func share(n, low, high int) int {
	return min(max(0, n-low)*fullLoad/max(1, high-low), fullLoad)
}

// backgroundErr returns why the work that reason waits for does not get done.
func (db *DB) backgroundErr(reason StallReason) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if reason != StallMemtables {
		return db.mergeErr
	}
	return db.flushErr
}

// A stop is a time in which a writer may not go on.
type stop struct {
	reason StallReason
	since  env.Mono
}

func (db *DB) beginStop(reason StallReason) *stop {
	db.e.Sometimes("lsm-writes-stopped")
	db.metrics.stalls[reason].Add(1)
	db.o.Events.stalled(StallEvent{Reason: reason})
	return &stop{reason, db.e.Now()}
}

func (s *stop) end(db *DB) {
	if s == nil {
		return
	}
	d := db.e.Now().Sub(s.since)
	db.metrics.stallNanos[s.reason].Add(uint64(d))
	db.o.Events.stalled(StallEvent{Reason: s.reason, Done: true, Duration: d})
}

// delay makes the writer pay for what was written under load.
func (db *DB) delay(load int, reason StallReason) {
	p := &db.pacer
	drain := p.drain[reason].Load()
	p.rate.Store(max(1, drain/16+drain*int64(fullLoad-load)/fullLoad))
	if d := p.owed(db.e.Now()); d >= minDelay {
		db.e.Sometimes("lsm-writes-delayed")
		d = min(d, maxDelay)
		db.metrics.delays[reason].Add(1)
		db.metrics.stallNanos[reason].Add(uint64(d))
		db.e.Sleep(d)
	}
}

// A pacer keeps account of how long writers must wait for what they wrote.
//
// Time is bought in bytes: each insertion moves until forward by its size at the
// present rate. Whoever comes before until waits for it.
type pacer struct {
	e     *env.Env
	rate  atomic.Int64 // bytes per second; 0: unlimited
	until atomic.Int64 // env.Mono

	// drain is how fast the work behind each reason goes, in bytes per second.
	drain [stallReasons]atomic.Int64
}

const (
	initialDrain = 32 << 20
	maxDrain     = 1 << 40
)

func (p *pacer) init(e *env.Env) {
	p.e = e
	for i := range p.drain {
		p.drain[i].Store(initialDrain)
	}
}

// charge puts n bytes on the account. One task at a time calls it.
func (p *pacer) charge(n int) {
	if rate := p.rate.Load(); rate > 0 {
		now := int64(p.e.Now())
		until := max(p.until.Load(), now) + int64(n)*int64(time.Second)/rate
		p.until.Store(min(until, now+int64(maxDebt)))
	}
}

func (p *pacer) owed(now env.Mono) time.Duration {
	return time.Duration(p.until.Load() - int64(now))
}

// drained tells the pacer that n bytes of background work took d. The rate is an
// average in which the last one counts a quarter.
func (p *pacer) drained(reason StallReason, n uint64, d time.Duration) {
	if d <= 0 {
		return
	}
	// In integers: what decides must come out the same on every machine.
	now := int64(min(n, math.MaxUint64/uint64(time.Second)) * uint64(time.Second) / uint64(d))
	p.drain[reason].Store((3*p.drain[reason].Load() + min(now, maxDrain)) / 4)
}
