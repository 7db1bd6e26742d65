package lsm

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// A pace makes a merge in the background leave time to writers, as long as it is not behind:
// after every step it pauses for a share of the time that the step took. The share is largest when
// a merge has just become due, and falls to nothing where writers would be slowed down
// otherwise. Without writers there are no pauses.
//
//	level 0:  L0Tables ─────────────── slowL0 × L0Tables
//	pause:    ½ of the time worked ──▶ none             writers are slowed down ──▶
type pace struct {
	db        *DB      // nil: no pauses
	bytes     int      // since the last pause
	resumed   env.Mono // when it ended
	userBytes uint64   // counters.userBytes then
}

const (
	paceBytes = 1 << 20 // a step
	paceShare = 2       // of the time worked, 1 in so many is paused for at most
	maxPause  = 20 * time.Millisecond
)

// step is told of bytes that were written, and pauses now and then.
func (p *pace) step(bytes int) {
	if p.bytes += bytes; p.bytes < paceBytes || p.db == nil {
		return
	}
	p.bytes = 0
	worked, written := p.db.e.Now().Sub(p.resumed), p.db.metrics.userBytes.Load()
	if written > p.userBytes {
		share := time.Duration(fullLoad - p.db.urgency())
		if d := min(worked/paceShare*share/fullLoad, maxPause); d >= minPause {
			p.db.metrics.pauseNanos.Add(uint64(d))
			p.db.e.Sleep(d)
		}
	}
	p.resumed, p.userBytes = p.db.e.Now(), written
}

const minPause = 100 * time.Microsecond // shorter ones take longer than they say

// urgency returns how near compaction is to slowing writers down, from 0 to fullLoad.
func (db *DB) urgency() int {
	s := db.current.Load()
	if len(s.sealed) > 1 || db.isDown.Load() {
		return fullLoad
	}
	shape := &s.version.shape
	urgency := share(int(shape.Debt), 0, slowDebt*db.o.BaseBytes)
	if shape.L0 > 0 {
		urgency = max(urgency, share(len(s.version.levels[0]), shape.L0, slowL0*shape.L0))
	}
	return urgency
}
