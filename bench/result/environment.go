package result

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/statordb/stator/bench"
)

// An Environment is where it was measured.
type Environment struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel,omitempty"`
	Processor  string `json:"processor,omitempty"`
	CPUs       int    `json:"cpus"`
	MaxProcs   int    `json:"maxprocs"` // of the Go runtime
	Memory     int64  `json:"memory_bytes,omitempty"`
	Go         string `json:"go"`
	FileSystem string `json:"file_system,omitempty"` // of the scratch directory
	Disk       string `json:"disk,omitempty"`        // its device
	Load       string `json:"load,omitempty"`        // of the machine when the run began: 1, 5, 15 minutes
	Limits     Limits `json:"limits"`
}

// Look describes this machine. dir is the scratch directory.
func Look(dir string) Environment {
	e := Environment{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0),
		Go: runtime.Version(), Processor: bench.Processor(), Kernel: firstLine("/proc/sys/kernel/osrelease"),
	}
	if l := strings.Fields(firstLine("/proc/loadavg")); len(l) >= 3 {
		e.Load = strings.Join(l[:3], " ")
	}
	e.Memory = memory()
	e.Disk, e.FileSystem = mounted(dir)
	return e
}

func firstLine(name string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// memory is that of the machine; 0 if the system does not say.
func memory() int64 {
	f := strings.Fields(firstLine("/proc/meminfo"))
	if len(f) < 2 || f[0] != "MemTotal:" {
		return 0
	}
	kib := int64(0)
	for _, c := range f[1] {
		if c < '0' || c > '9' {
			return 0
		}
		kib = 10*kib + int64(c-'0')
	}
	return kib << 10
}

// mounted finds the device and the file system of a directory in the list of mounts.
func mounted(dir string) (device, kind string) {
	at, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", ""
	}
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", ""
	}
	longest := -1
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) < longest || !(at == f[1] || strings.HasPrefix(at, strings.TrimSuffix(f[1], "/")+"/")) {
			continue
		}
		device, kind, longest = f[0], f[2], len(f[1])
	}
	return device, kind
}

// Commit is that of this program, if the build says so.
func Commit() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return revision + changed
}
