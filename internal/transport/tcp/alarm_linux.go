package tcp

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/statordb/stator/internal/nowait"
)

// A fileAlarm is a timer of the kernel, which the runtime watches like a socket. It is late by
// what it takes to wake a thread, some 50 µs; the runtime's own timers, which wait in steps of a
// millisecond when nothing else happens, by up to one.
type fileAlarm struct {
	file *os.File
	fd   int
	read io.Reader
}

// newAlarm falls back to the runtime's timers when there is no file to be had.
func newAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return newTimerAlarm()
	}
	a := &fileAlarm{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
	a.read = a.file
	if s, err := nowait.NewStream(a.file); err == nil {
		a.read = s
	}
	return a
}

// set is not called after close.
func (a *fileAlarm) set(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, d)))} // 0 would unset it
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil)                          // it cannot fail with these arguments
}

func (a *fileAlarm) wait() bool {
	var b [8]byte
	_, err := a.read.Read(b[:])
	return err == nil
}

func (a *fileAlarm) close() { _ = a.file.Close() }
