package drive

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm wakes one worker at a time. It is a timer of the kernel behind a file, for which a goroutine waits as for a socket: it ends some ten
// microseconds late, where a sleep of the runtime ends up to a millisecond late. A sleeping system call would be as exact, but keeps one of the runtime's
// processors for as long: when all of them sleep so, an answer that has come is seen by nobody, and looks as late as the next operation is due.
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
