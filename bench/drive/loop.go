package drive

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrUnsupported means that a target has no such operation. It ends the run.
var ErrUnsupported = errors.New("the target has no such operation")

// ErrConflict means that the target refused an operation, and did nothing, because another one was at the same
// items. That is an outcome, and no error: it is counted, and its latency is not.
var ErrConflict = errors.New("the operation met another one")

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
	// fill sets the next operations of a worker, and when they are due if the loop is open. It returns how many; 0 when there is nothing more
	// to do.
	fill(w *worker) int
}

// ahead is how many operations are drawn at a time: drawings that do not wait for each other cost a processor half as much.
const ahead = 64

// A worker is one goroutine of a run.
type worker struct {
	session  Session
	source   source
	rand     rand
	pacer    pacer
	waiter   *waiter // of an open loop
	open     bool    // operations have times at which they are due
	recorder *recorder
	slow     float64 // see Options.Slow
	typical  float64 // with slow: nanoseconds of an operation

	ops     [ahead]Op
	due     [ahead]int64 // of an open loop
	at, n   int          // the next of ops, and how many there are
	claimed int64        // operations of limits.left that are this worker's
}

// begin forgets what was drawn for the phase before.
func (w *worker) begin() { w.at, w.n, w.claimed = 0, 0, 0 }

// limits end a run.
type limits struct {
	clock  clock
	until  int64         // nobody begins an operation that is due later
	giveUp int64         // what was due by then and is not begun counts as not sent
	left   *atomic.Int64 // operations that no worker has claimed; nil: no bound
	block  int64         // how many a worker claims at a time
	stop   atomic.Bool
}

// bound ends the run after n operations.
func (l *limits) bound(n int64, workers int) {
	const shares = 100 // so one worker has a hundredth of its work left, at the most, when another one has none
	l.block = min(ahead, max(1, n/int64(shares*workers)))
	l.left = new(atomic.Int64)
	l.left.Store(n)
}

func (l *limits) over(w *worker) bool {
	if l.stop.Load() {
		return true
	}
	if l.left == nil {
		return false
	}
	if w.claimed == 0 {
		if w.claimed = l.block + min(0, l.left.Add(-l.block)); w.claimed <= 0 {
			w.claimed = 0
			return true
		}
	}
	w.claimed--
	return false
}

// run does operations until a limit. This is the loop whose own cost is bounded:
// see BenchmarkLoop.
func (w *worker) run(l *limits) error {
	for !l.over(w) {
		if w.at == w.n {
			if w.at, w.n = 0, w.source.fill(w); w.n == 0 {
				break
			}
		}
		op, due := &w.ops[w.at], w.due[w.at]
		if w.at++; w.open && due >= l.until {
			break
		}
		if err := w.session.Prepare(op); err != nil {
			return w.failed(l, op, err)
		}
		var err error
		if w.open {
			var sent bool
			if sent, err = w.onTime(l, op, due); !sent {
				continue
			}
		} else {
			begin := l.clock.begin()
			if begin >= l.until {
				break
			}
			err = w.session.Do()
			end := l.clock.now()
			if w.slow > 0 {
				end = w.slowed(l, begin, end)
			}
			if errors.Is(err, ErrConflict) {
				w.recorder.conflicted()
				continue
			}
			w.recorder.record(op.place, end, end-begin)
		}
		if err == nil {
			err = w.session.Check()
			if err != nil {
				return w.failed(l, op, err)
			}
			continue
		}
		if errors.Is(err, ErrUnsupported) {
			return w.failed(l, op, err)
		}
		w.recorder.failed()
		if w.recorder.errors++; w.recorder.firstError == nil {
			w.recorder.firstError = err
		}
	}
	w.recorder.flush()
	return nil
}

// onTime does an operation when it is due, or at once if that is past. If that is long past, nothing is sent. It reports false
// if there is nothing to check.
func (w *worker) onTime(l *limits, op *Op, due int64) (sent bool, err error) {
	ready := l.clock.begin()
	if ready > l.giveUp {
		w.recorder.record(op.place, ready, ready-due) // at least so long
		w.recorder.unsent++
		w.recorder.failed()
		return false, nil
	}
	begin := ready
	if due > ready {
		begin = w.waiter.until(&l.clock, due)
	}
	err = w.session.Do()
	end := l.clock.now()
	if w.slow > 0 {
		end = w.slowed(l, begin, end)
	}
	if errors.Is(err, ErrConflict) {
		w.recorder.conflicted()
		return false, nil
	}
	w.recorder.record(op.place, end, end-due)
	w.recorder.recordService(end-begin, begin-max(due, ready))
	return true, err
}

// slowed makes an operation slower and returns its new end.
func (w *worker) slowed(l *limits, begin, end int64) int64 {
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

func (w *worker) failed(l *limits, op *Op, err error) error {
	l.stop.Store(true)
	return fmt.Errorf("%s of key %d: %w", op.Kind, op.Key, err)
}

// grace is for how long after the end of a run what was due before is still done.
func grace(length time.Duration) time.Duration { return max(length/4, 100*time.Millisecond) }
