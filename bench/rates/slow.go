package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/statordb/stator/bench"
)

// spinSource is the loop that makes a build slower. A step is a multiplication that waits for the one before. How many steps there are is set
// when the program is linked, so that everything is compiled once.
const spinSource = `package lsm

import "strconv"

var getSteps, applySteps string

var spinsInGet, spinsInApply = number(getSteps), number(applySteps)

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

//go:noinline
func spin(steps int) uint64 {
	x := uint64(1)
	for range steps {
		x = x*6364136223846793005 + 1
	}
	return x
}
`

// spin is the same, to see what a step costs.
//
//go:noinline
func spin(steps int) uint64 {
	x := uint64(1)
	for range steps {
		x = x*6364136223846793005 + 1
	}
	return x
}

// spinCost is the processor time of one step in nanoseconds: the least of some tries.
func spinCost() float64 {
	const steps, tries = 20_000_000, 5
	least, sum := 0.0, uint64(0)
	for i := range tries {
		before := bench.CPUTime()
		sum += spin(steps)
		if cost := float64(bench.CPUTime()-before) / steps; i == 0 || cost < least {
			least = cost
		}
	}
	if sum == 0 { // never; but the loop must not be left out
		return 0
	}
	return least
}

// places are where operations begin.
var places = []struct{ file, signature, steps string }{
	{"lsm/get.go", "func (db *DB) Get(user, dst []byte) ([]byte, error) {\n", "spinsInGet"},
	{"lsm/commit.go", "func (db *DB) Apply(b *Batch) error {\n", "spinsInApply"},
}

// A builder builds programs of a clone.
type builder struct {
	ctx         context.Context
	tmp, source string
	programs    string // directory
}

// clone makes one of this repository, with the loop in it. It shares the objects, so it takes no time and leaves nothing there. It is made once.
func (b *builder) clone() error {
	if _, err := os.Stat(b.source); err == nil {
		return nil
	}
	root, err := exec.CommandContext(b.ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("this is no git repository: %w", err)
	}
	if err := b.do(b.tmp, "git", "clone", "--quiet", "--shared", strings.TrimSpace(string(root)), b.source); err != nil {
		return err
	}
	for _, p := range places {
		file := filepath.Join(b.source, p.file)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		slower := strings.Replace(string(text), p.signature, p.signature+"\tspin("+p.steps+")\n", 1)
		if slower == string(text) {
			return fmt.Errorf("%s has no %q any more", p.file, p.signature)
		}
		if err := os.WriteFile(file, []byte(slower), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(b.source, "lsm", "spin.go"), []byte(spinSource), 0o644)
}

// build makes a program with loops of so many steps; 0 is none.
func (b *builder) build(name string, get, apply int) (program string, err error) {
	program = filepath.Join(b.programs, name)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := b.clone(); err != nil {
		return "", err
	}
	const lsm = "github.com/statordb/stator/lsm"
	set := fmt.Sprintf("-X %s.getSteps=%d -X %s.applySteps=%d", lsm, get, lsm, apply)
	return program, b.do(b.source, "go", "build", "-trimpath", "-ldflags", set, "-o", program, "./cmd/stator")
}

func (b *builder) do(dir string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, args[0], args[1:]...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}
