// Package program builds this tree's stator and has it measure, for the commands beside it that ask how far its figures can be trusted.
package program

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/statordb/stator/bench/result"
)

// Build builds stator in a directory, unless given names one that is built already. It returns its name.
func Build(ctx context.Context, dir, given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	name := filepath.Join(dir, "stator")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", name, "./cmd/stator").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, text)
	}
	return name, nil
}

// Run is "stator bench run" with these arguments, and without the probe of the machine. The result stays in the file out.
func Run(ctx context.Context, program, out string, args ...string) (*result.File, error) {
	args = append([]string{"bench", "run", "--no-probe", "--json=" + out}, args...)
	if text, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("bench run: %w\n%s", err, text)
	}
	return result.Read(out)
}
