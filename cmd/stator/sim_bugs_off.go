//go:build !plantedbugs

package main

import "errors"

// simBugsCommand is that of a program in which no bugs can be planted.
type simBugsCommand struct {
	Arguments []string `arg:"" optional:"" passthrough:"" hidden:""`
}

var errNoBugs = errors.New(`this program has no planted bugs; build one that has:
  go build -tags plantedbugs -o stator-bugs ./cmd/stator
  ./stator-bugs sim bugs`)

func (simBugsCommand) Run() error { return errNoBugs }
