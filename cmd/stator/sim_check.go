package main

import (
	"fmt"
	"os"

	"github.com/statordb/stator/sim"
)

type simCheckCommand struct {
	File string `arg:"" type:"existingfile" predictor:"file" help:"A history as JSON lines; docs/planted-bugs.md says what they hold."`
}

// Run checks a history that was written down, from a simulation or by anybody else.
func (c *simCheckCommand) Run() error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := sim.ReadJSON(f)
	if err != nil {
		return err
	}
	if err := h.Check(); err != nil {
		return err
	}
	fmt.Printf("%d operations, all explained\n", len(h.Operations))
	return nil
}
