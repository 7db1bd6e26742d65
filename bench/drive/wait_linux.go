package drive

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nap sleeps in the kernel: its timers are finer than the runtime's, which may
// wait in steps of a millisecond.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // a signal ends it early, and the caller looks again
}

// shortNap is one that the runtime is not told of, and that keeps one of its processors. Until it ends no collection of garbage can begin.
func shortNap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

// exact has the kernel end this thread's sleeps as early as it can; without it, that is up to 50 µs later.
func exact() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) } // where it fails, waiters learn how late they wake
