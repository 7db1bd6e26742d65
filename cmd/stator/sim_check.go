package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/statordb/stator/sim"
)

type simCheckCommand struct {
	File string `arg:"" type:"existingfile" predictor:"file" help:"A history: JSON lines of requests for items, or of appends and reads of lists in Elle's form, also as EDN; docs/planted-bugs.md says what they hold."`
}

// Run checks a history that was written down, from a simulation or by anybody else.
func (c *simCheckCommand) Run() error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	lists, err := isOfLists(f)
	if err != nil {
		return err
	}
	n := 0
	if lists {
		var h sim.ListHistory
		if h, err = sim.ReadLists(f); err != nil {
			return &simError{2, err}
		}
		n, err = len(h), h.Check()
	} else {
		var h *sim.History
		if h, err = sim.ReadJSON(f); err != nil {
			return &simError{2, err}
		}
		n, err = len(h.Operations), h.Check()
	}
	if err != nil {
		return &simError{1, err}
	}
	fmt.Printf("%d operations, all explained\n", n)
	return nil
}

// isOfLists reports whether a file has transactions on lists: in EDN there is nothing else, and
// JSON says so.
func isOfLists(f io.ReadSeeker) (yes bool, err error) {
	for in := bufio.NewReader(f); err == nil && !yes; {
		var line string
		line, err = in.ReadString('\n')
		text := strings.TrimSpace(line)
		if text == "" {
			continue
		}
		yes = !strings.HasPrefix(text, `{"`) || strings.Contains(strings.ReplaceAll(text, " ", ""), `"f":"txn"`)
		if strings.Contains(text, `"key"`) {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	_, seek := f.Seek(0, io.SeekStart)
	return yes, errors.Join(err, seek)
}
