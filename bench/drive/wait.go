package drive

import (
	"runtime"
	"time"
)

// A Distant target answers from other processes: its sessions wait for sockets.
type Distant interface{ Distant() bool }

// A waiter is how a worker of an open loop waits until its next operation is due. It sleeps while there is time for the sleep to end late, and watches the
// clock for the rest.
//
// A sleeping system call is exact and keeps the worker's thread and one of the runtime's processors. That is right for a target in this process, whose
// background work would else be in the worker's place when it wakes. It is wrong for one that answers from elsewhere: when as many workers sleep so as the
// runtime has processors, an answer that has come is seen by nobody, and looks as late as the next operation is due. There a worker waits for an alarm, as for a
// socket, and gives way while it watches the clock.
type waiter struct{ alarm *alarm } // nil: it keeps its processor

// fine is how long before an operation is due a worker begins to watch the clock, coarse how long before then it leaves the runtime's sleep, whose timers
// are coarser than the kernel's. On an idle Linux machine a short sleep ends 60 µs late, one of the Go runtime's up to 1 ms.
const (
	coarse = 2 * time.Millisecond
	fine   = 120 * time.Microsecond
)

func newWaiter(t Target) *waiter {
	if d, ok := t.(Distant); ok && d.Distant() {
		return &waiter{newAlarm()}
	}
	return &waiter{}
}

// until waits until the time and returns when it is.
func (w *waiter) until(c *clock, due int64) int64 {
	for {
		now := c.now()
		left := time.Duration(due - now)
		switch {
		case left <= 0:
			return now
		case left <= fine && w.alarm != nil:
			runtime.Gosched() // an answer that has come meanwhile is somebody's latency
		case left <= fine:
		case w.alarm != nil:
			w.alarm.sleep(left - fine)
		case left > coarse:
			time.Sleep(left - coarse)
		default:
			nap(left - fine)
		}
	}
}

func (w *waiter) close() error {
	if w.alarm == nil {
		return nil
	}
	return w.alarm.close()
}
