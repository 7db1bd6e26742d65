package main

import (
	"os"
	"runtime"
)

// collectAfter is how much garbage of a server may gather, at least, before it is collected.
//
// Go collects when the heap has doubled. Items, filters and blocks are not in
// the heap, so that is small, and queries double it after a few answers: a
// collection for every 4 MiB. A reserve that counts as heap, and is never
// touched and so takes no memory, makes collections as rare as in a process
// with a heap of that size.
const collectAfter = 32 << 20

// simCollectAfter is the same for a simulator, whose worlds are small and soon gone.
const simCollectAfter = 250 << 20

// spaceCollections has an effect until end is called.
func spaceCollections(garbage int) (end func()) {
	reserve := make([]byte, garbage)
	return func() { runtime.KeepAlive(reserve) }
}

// spaceSimCollections is spaceCollections for a simulator, unless the user has said how often to collect.
func spaceSimCollections() (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	return spaceCollections(simCollectAfter)
}
