//go:build amd64 || arm64

// Package prefetch asks the processor for memory that will be needed soon.
//
// A cache miss costs hundreds of nanoseconds, and a load that misses holds up what
// follows it. A prefetch does not: so several misses can be under way at a time where the
// addresses are known early. It is a hint; an address that cannot be read does no harm.
package prefetch

import "unsafe"

// Line asks for the cache line at p.
//
//go:noescape
func Line(p unsafe.Pointer)

// Lines asks for the cache lines of the n bytes at p. Without bytes it may ask for one.
//
//go:noescape
func Lines(p unsafe.Pointer, n int)
