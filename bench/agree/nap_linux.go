package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps in the kernel, whose timers are finer than the runtime's.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // a signal ends it early, and the caller looks again
}
