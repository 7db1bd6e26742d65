package lsm

import (
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// A limiter holds background writing to a number of bytes per second: a token bucket, kept as
// the moment until which what was taken is paid for.
//
//	          unused, at most limitBurst           taken in advance
//	paid ◄──────────────────────────────── now ───────────────────────► paid
//	      a taker goes on at once                a taker waits until paid
//
// Each taker pushes the moment on by what it writes and waits for it; so several share the
// rate, in the order in which they come. Urgent takers (flushes) wait for each
// other only, but the rest pays for them, too.
type limiter struct {
	e      *env.Env
	isDown *atomic.Bool // nobody waits any more
	waited atomic.Int64 // time.Duration

	mu     env.Leaf
	rate   int64       // bytes per second; 0: no limit
	paid   [2]env.Mono // until when by all, and by those who are urgent
	change uint64      // counts setRate
}

const (
	limitBurst = 100 * time.Millisecond
	limitNap   = 50 * time.Millisecond // how soon a change of the rate, or the end, is noticed
)

// Places in limiter.paid.
const (
	byAll = iota
	byUrgent
)

func (l *limiter) init(e *env.Env, isDown *atomic.Bool, rate int64) {
	l.e, l.isDown, l.rate = e, isDown, max(0, rate)
	l.mu.Bind(e)
}

// setRate changes the rate. What was taken at the old one is forgiven.
func (l *limiter) setRate(rate int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = max(0, rate)
	l.paid = [2]env.Mono{}
	l.change++
}

// take waits until n bytes may be written.
func (l *limiter) take(n int, isUrgent bool) {
	began := l.e.Now()
	until, change := l.reserve(n, began, isUrgent)
	now := began
	for now < until && !l.isDown.Load() && !l.hasChanged(change) {
		l.e.Sleep(min(until.Sub(now), limitNap))
		now = l.e.Now()
	}
	if now > began {
		l.waited.Add(int64(now.Sub(began)))
	}
}

// reserve takes n bytes and returns when they are paid for.
func (l *limiter) reserve(n int, now env.Mono, isUrgent bool) (until env.Mono, change uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return now, l.change
	}
	cost := time.Duration(int64(n) * int64(time.Second) / l.rate)
	spend := func(who int) env.Mono {
		l.paid[who] = max(l.paid[who], now.Add(-limitBurst)).Add(cost)
		return l.paid[who]
	}
	until = spend(byAll)
	if isUrgent {
		until = spend(byUrgent)
	}
	return until, l.change
}

func (l *limiter) hasChanged(since uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.change != since
}

// A limitedFile takes from a limiter what is written to it.
type limitedFile struct {
	vfs.File
	limiter  *limiter
	isUrgent bool
}

func (f limitedFile) WriteAt(p []byte, off int64) (int, error) {
	f.limiter.take(len(p), f.isUrgent)
	return f.File.WriteAt(p, off)
}

// limited returns a new file as background work should write to it.
func (db *DB) limited(f vfs.File, isFlush bool) vfs.File {
	if isFlush && !db.o.PaceFlushes {
		return f
	}
	return limitedFile{f, &db.limiter, isFlush}
}

// SetBackgroundBytesPerSec changes Options.BackgroundBytesPerSec, for what is under way, too.
func (db *DB) SetBackgroundBytesPerSec(n int64) { db.limiter.setRate(n) }
