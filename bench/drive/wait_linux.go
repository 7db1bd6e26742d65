package drive

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// nap sleeps in the kernel: its timers are finer than the runtime's, which may
// wait in steps of a millisecond.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&t, nil) // a signal ends it early, and the caller looks again
}

// An alarm wakes one worker at a time. It is a timer of the kernel behind a file, for which a goroutine waits as for a socket: it keeps no thread, and ends some ten
// microseconds late.
type alarm struct {
	file *os.File // nil: the runtime sleeps
	fd   int      // of file
	at   unix.ItimerSpec
	read [8]byte
}

// newAlarm falls back to the runtime's sleep if the system gives none.
func newAlarm() *alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &alarm{}
	}
	return &alarm{file: os.NewFile(uintptr(fd), "timer"), fd: fd}
}

// sleep waits for so long, which is above 0, or somewhat longer. It allocates nothing.
func (a *alarm) sleep(d time.Duration) {
	if a.file != nil {
		a.at.Value = unix.NsecToTimespec(int64(d))
		if unix.TimerfdSettime(a.fd, 0, &a.at, nil) == nil {
			if _, err := a.file.Read(a.read[:]); err == nil {
				return
			}
		}
	}
	time.Sleep(d)
}

func (a *alarm) close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}
