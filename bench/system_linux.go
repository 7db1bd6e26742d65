package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// procFields returns the numbers of a file of lines "name: number ...".
func procFields(name string) (map[string]uint64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	fields := map[string]uint64{}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		key, rest, ok := strings.Cut(s.Text(), ":")
		words := strings.Fields(rest)
		if !ok || len(words) == 0 {
			continue
		}
		if n, err := strconv.ParseUint(words[0], 10, 64); err == nil {
			fields[key] = n
		}
	}
	return fields, nil
}

func writtenBytes() written {
	f, err := procFields("/proc/self/io")
	if err != nil {
		return written{}
	}
	return written{f["write_bytes"], f["wchar"], f["syscw"]}
}

// residentMiB is the resident memory of this process: its own, and pages of files.
func residentMiB() (own, mapped float64, err error) {
	f, err := procFields("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	if f["VmRSS"] == 0 {
		return 0, 0, fmt.Errorf("/proc/self/status has no VmRSS")
	}
	return float64(f["RssAnon"]+f["RssShmem"]) / 1024, float64(f["RssFile"]) / 1024, nil
}

// EndWithParent makes the kernel end the process, stopped or not, when the thread
// that started it ends.
func EndWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// Processor is what the CPU calls itself.
func Processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
