package main

import "runtime"

// collectAfter is how much garbage may gather, at least, before it is collected.
//
// Go collects when the heap has doubled. Items, filters and blocks are not in
// the heap, so that is small, and queries double it after a few answers: a
// collection for every 4 MiB. A reserve that counts as heap, and is never
// touched and so takes no memory, makes collections as rare as in a process
// with a heap of that size.
const collectAfter = 32 << 20

// spaceCollections has an effect until end is called.
func spaceCollections() (end func()) {
	reserve := make([]byte, collectAfter)
	return func() { runtime.KeepAlive(reserve) }
}
