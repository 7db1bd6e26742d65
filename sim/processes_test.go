package sim

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
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

var otherArch = flag.Int("sim.wasm", 0, "how many seeds TestOtherMachine runs; it builds this package twice, and needs Node")

// The same seeds are the same runs on another machine: as js/wasm, where Node is the operating system and words, memory and
// scheduler are others. The program for this machine is built without S2's assembler, which compresses otherwise.
func TestOtherMachine(t *testing.T) {
	if *otherArch == 0 {
		t.Skip("takes minutes: -sim.wasm=N runs N seeds")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	goTool := func(env []string, args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	goTool([]string{"GOOS=js", "GOARCH=wasm"}, "test", "-c", "-o", dir+"/sim.wasm", ".")
	goTool(nil, "test", "-tags", "noasm", "-c", "-o", dir+"/sim.test", ".")
	hashes := func(name string, args ...string) []string {
		args = append(args, "-test.run=^TestSeeds$", "-test.v", fmt.Sprint("-sim.seeds=", *otherArch), fmt.Sprint("-sim.seed=", *seed), fmt.Sprint("-sim.nodes=", *nodes))
		out, err := exec.Command(name, args...).CombinedOutput()
		found := regexp.MustCompile(`seed=\d+ hash=[0-9a-f]+`).FindAllString(string(out), -1)
		if len(found) != *otherArch {
			t.Fatalf("%v: %d results of %d\n%s", err, len(found), *otherArch, out)
		}
		return found
	}
	here := hashes(dir + "/sim.test")
	there := hashes(node, "--stack-size=8192", goTool(nil, "env", "GOROOT")+"/lib/wasm/wasm_exec_node.js", dir+"/sim.wasm")
	for i := range here {
		if here[i] != there[i] {
			t.Errorf("%s on this machine, %s as js/wasm", here[i], there[i])
		}
	}
}
