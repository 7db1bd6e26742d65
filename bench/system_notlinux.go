//go:build !linux

package bench

import (
	"errors"
	"os/exec"
)

func writtenBytes() written { return written{} }

func residentMiB() (own, mapped float64, err error) {
	return 0, 0, errors.New("resident memory is read from /proc, which is Linux's")
}

func EndWithParent(*exec.Cmd) {}

func Processor() string { return "" }
