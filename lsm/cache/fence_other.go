//go:build !amd64

package cache

import "sync/atomic"

// loadsDone returns when all loads before it are done, as seen from an atomic load
// after it. Go's atomic loads only keep later loads from coming early; a store does
// keep earlier loads from coming late, and atomic operations keep their order. The
// word is the caller's own, on its stack, so nobody waits for its cache line.
func loadsDone() {
	var word atomic.Uint32
	word.Store(1)
}
