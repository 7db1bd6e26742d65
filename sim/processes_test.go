package sim

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hashesOf is set in a process that shall only tell what seeds come to.
const hashesOf = "SIM_HASHES"

// digests runs a few worlds of every size and returns a line for each.
func digests() string {
	var b strings.Builder
	for seed := uint64(901); seed < 903; seed++ {
		for _, nodes := range []int{1, 3} {
			r := Run(seed, Options{Nodes: nodes, Duration: 400 * time.Millisecond})
			fmt.Fprintf(&b, "seed %d, %d nodes: %016x after %d steps\n", seed, nodes, r.Hash, r.Steps)
		}
	}
	return b.String()
}

// The same seeds are the same runs in another process, with other threads and another
// garbage collector's pace.
func TestTwoProcesses(t *testing.T) {
	if os.Getenv(hashesOf) != "" {
		fmt.Print(digests())
		return
	}
	if testing.Short() {
		t.Skip("runs the test's program again")
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip(err) // js
	}
	again := exec.Command(self, "-test.run=^TestTwoProcesses$")
	again.Env = append(os.Environ(), hashesOf+"=1", "GOMAXPROCS=7", "GOGC=10")
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := digests(); !strings.HasPrefix(string(out), want) {
		t.Errorf("this process:\n%s\nthe other one:\n%s", want, out)
	}
}
