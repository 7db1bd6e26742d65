//go:build unix

package bench

import (
	"io/fs"
	"os/exec"
	"syscall"
	"time"
)

// CPUTime is the user and system time of this process.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// syncDisk brings everything to the disk, so that what one engine left in the page
// cache is not written during another one's turn.
func syncDisk() { syscall.Sync() }

// occupied is how much of the disk a file takes.
func occupied(info fs.FileInfo) float64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return 512 * float64(s.Blocks)
	}
	return float64(info.Size())
}

// Pause stops a process until Resume.
func Pause(c *exec.Cmd) error  { return c.Process.Signal(syscall.SIGSTOP) }
func Resume(c *exec.Cmd) error { return c.Process.Signal(syscall.SIGCONT) }
