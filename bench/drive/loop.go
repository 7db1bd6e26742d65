package drive

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnsupported means that a target has no such operation. It ends the run.
var ErrUnsupported = errors.New("the target has no such operation")

// A Target is what is measured.
type Target interface {
	NewSession(worker int) (Session, error)
}

// A Session is one worker's access to a target. Of each operation only Do is timed.
type Session interface {
	// Prepare makes everything ready that is not the target's work: bytes of keys and
	// values, a signed request. The operation is valid until the next Prepare.
	Prepare(op *Op) error

	// Do is the operation. An error counts as one; one that is ErrUnsupported ends the run.
	Do() error

	// Check returns an error if what Do has read was never written. It ends the run.
	Check() error

	Close() error
}

// A source says what is done next and, if it knows, when.
type source interface {
	// next returns false when there is nothing more to do.
	next(w *worker) (due int64, ok bool)
}

// drawn draws from a plan.
type drawn struct{ plan *plan }

func (d drawn) next(w *worker) (int64, bool) {
	d.plan.draw(&w.rand, &w.op)
	if w.pacer.gap == 0 {
		return 0, true
	}
	return w.pacer.due(), true
}

// A worker is one goroutine of a run.
type worker struct {
	session  Session
	source   source
	rand     rand
	pacer    pacer
	open     bool // operations have times at which they are due
	recorder *recorder
	op       Op
	slow     float64 // see Options.Slow
	typical  float64 // with slow: nanoseconds of an operation
}

// limits end a run.
type limits struct {
	clock  clock
	until  int64         // nobody begins an operation that is due later
	giveUp int64         // what was due by then and is not begun counts as not sent
	left   *atomic.Int64 // operations; nil: no bound
	stop   atomic.Bool
}

func (l *limits) over() bool {
	return l.stop.Load() || l.left != nil && l.left.Add(-1) < 0
}

// run does operations until a limit. This is the loop whose own cost is bounded:
// see BenchmarkLoop.
func (w *worker) run(l *limits) error {
	for !l.over() {
		due, ok := w.source.next(w)
		if !ok || w.open && due >= l.until {
			break
		}
		if err := w.session.Prepare(&w.op); err != nil {
			return w.failed(l, err)
		}
		var err error
		if w.open {
			var sent bool
			if sent, err = w.onTime(l, due); !sent {
				continue
			}
		} else {
			begin := l.clock.begin()
			if begin >= l.until {
				break
			}
			err = w.session.Do()
			end := w.slowed(l, begin)
			w.recorder.record(w.op.place, end, end-begin)
		}
		if err == nil {
			err = w.session.Check()
			if err != nil {
				return w.failed(l, err)
			}
			continue
		}
		if errors.Is(err, ErrUnsupported) {
			return w.failed(l, err)
		}
		w.recorder.failed()
		if w.recorder.errors++; w.recorder.firstError == nil {
			w.recorder.firstError = err
		}
	}
	w.recorder.flush()
	return nil
}

// onTime does an operation when it is due, or at once if that is past. If that is long past, nothing is sent.
func (w *worker) onTime(l *limits, due int64) (sent bool, err error) {
	ready := l.clock.begin()
	if ready > l.giveUp {
		w.recorder.record(w.op.place, ready, ready-due) // at least so long
		w.recorder.unsent++
		w.recorder.failed()
		return false, nil
	}
	begin := ready
	if due > ready {
		begin = l.clock.until(due)
	}
	err = w.session.Do()
	end := w.slowed(l, begin)
	w.recorder.record(w.op.place, end, end-due)
	w.recorder.recordService(end-begin, begin-max(due, ready))
	return true, err
}

// slowed returns the time, after it has made an operation that began then slower, if that is asked
// for.
func (w *worker) slowed(l *limits, begin int64) int64 {
	end := l.clock.now()
	if w.slow == 0 {
		return end
	}
	took := float64(end - begin)
	if w.typical == 0 {
		w.typical = took
	}
	took = min(took, 4*w.typical) // when the worker was not running, it is not made to run for longer
	w.typical += (took - w.typical) / 64
	for until := end + int64(w.slow*took); end < until; {
		end = l.clock.now()
	}
	return end
}

func (w *worker) failed(l *limits, err error) error {
	l.stop.Store(true)
	return fmt.Errorf("%s of key %d: %w", w.op.Kind, w.op.Key, err)
}

// grace is for how long after the end of a run what was due before is still done.
func grace(length time.Duration) time.Duration { return max(length/4, 100*time.Millisecond) }
