package drive

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps in the kernel: its timers are finer than the runtime's, which may
// wait in steps of a millisecond.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // a signal ends it early, and the caller looks again
}
