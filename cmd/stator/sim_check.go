package main

import (
	"fmt"
	"os"

	"github.com/statordb/stator/sim"
)

type simCheckCommand struct {
	File string `arg:"" type:"existingfile" predictor:"file" help:"A history: JSON lines of requests for items; or, as JSON lines or EDN, appends and reads of lists, writes and reads of registers, or transfers between accounts, as sim replay writes them and tests of Jepsen do; docs/planted-bugs.md says what they hold."`
}

// Run checks a history that was written down, from a simulation or by anybody else.
func (c *simCheckCommand) Run() error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := sim.ReadHistory(f)
	if err != nil {
		return &simError{2, err}
	}
	if h.Len() == 0 {
		return &simError{2, fmt.Errorf("%s: there is no operation in it: nothing was checked", c.File)}
	}
	if err := h.Check(); err != nil {
		return &simError{1, err}
	}
	fmt.Printf("%d operations, all explained\n", h.Len())
	return nil
}
