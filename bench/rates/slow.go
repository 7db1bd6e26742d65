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

// spinSource is the loop that makes a build slower. A step is a multiplication that waits for the one before.
const spinSource = `package lsm

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
var places = []struct{ file, signature string }{
	{"lsm/get.go", "func (db *DB) Get(user, dst []byte) ([]byte, error) {\n"},
	{"lsm/commit.go", "func (db *DB) Apply(b *Batch) error {\n"},
}

// A builder builds programs of a clone.
type builder struct {
	ctx         context.Context
	tmp, source string
	programs    string // directory
}

// clone shares the objects of this repository, so it takes no time and leaves nothing there. It is made once.
func (b *builder) clone() error {
	if _, err := os.Stat(b.source); err == nil {
		return nil
	}
	root, err := exec.CommandContext(b.ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("this is no git repository: %w", err)
	}
	return b.do(b.tmp, "git", "clone", "--quiet", "--shared", strings.TrimSpace(string(root)), b.source)
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
	if err := b.do(b.source, "git", "checkout", "--quiet", "--", "."); err != nil {
		return "", err
	}
	spinFile := filepath.Join(b.source, "lsm", "spin.go")
	if get+apply == 0 {
		if err := os.Remove(spinFile); err != nil && !os.IsNotExist(err) {
			return "", err
		}
	} else if err := os.WriteFile(spinFile, []byte(spinSource), 0o644); err != nil {
		return "", err
	}
	for i, steps := range []int{get, apply} {
		if steps == 0 {
			continue
		}
		file := filepath.Join(b.source, places[i].file)
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		slower := strings.Replace(string(text), places[i].signature, places[i].signature+fmt.Sprintf("\tspin(%d)\n", steps), 1)
		if slower == string(text) {
			return "", fmt.Errorf("%s has no %q any more", places[i].file, places[i].signature)
		}
		if err := os.WriteFile(file, []byte(slower), 0o644); err != nil {
			return "", err
		}
	}
	return program, b.do(b.source, "go", "build", "-trimpath", "-o", program, "./cmd/stator")
}

func (b *builder) do(dir string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, args[0], args[1:]...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}
