package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// UsageOf is what another process of this machine has used.
func UsageOf(pid int) (u ProcessUsage, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// pid (name) state ...: the name may have blanks and brackets, so fields count from the last one.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 13 {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	for _, ticks := range f[11:13] { // user, system
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return u, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		u.CPU += time.Duration(n) * time.Second / userHz
	}
	status, err := procFields(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	u.ResidentBytes = float64(status["VmRSS"]) * 1024
	// Another user's process does not show what it writes: 0, not known.
	if io, err := procFields(fmt.Sprintf("/proc/%d/io", pid)); err == nil {
		u.WrittenBytes, u.ReadBytes = float64(io["write_bytes"]), float64(io["read_bytes"])
	}
	return u, nil
}

// BusyTime is how long all processors of this machine have worked since it began, what a hypervisor gave to other guests included; 0: not
// known.
func BusyTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line) // cpu, user, nice, system, idle, iowait, irq, softirq, steal, ...
	if len(f) < 9 || f[0] != "cpu" {
		return 0
	}
	var busy time.Duration
	for i, ticks := range f[1:9] {
		if i == 3 || i == 4 {
			continue
		}
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return 0
		}
		busy += time.Duration(n) * time.Second / userHz
	}
	return busy
}

// userHz is the unit of times in /proc/PID/stat: 100 a second on every architecture that Go knows.
const userHz = 100

// ListenerOf returns the process of this machine that listens on a TCP port; 0 if there is none, or if it
// is somebody else's.
func ListenerOf(port int) (pid int) {
	sockets := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // number, local address, remote address, state, ..., inode
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return 0
	}
	files, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			if pid, err = strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
				return pid
			}
		}
	}
	return 0
}

// UsageAfter is what a process of our own had used when it ended.
func UsageAfter(state *os.ProcessState) ProcessUsage {
	u := ProcessUsage{CPU: state.UserTime() + state.SystemTime()}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		const block = 512
		u.WrittenBytes, u.ReadBytes = block*float64(r.Oublock), block*float64(r.Inblock)
	}
	return u
}
