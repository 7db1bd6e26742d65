// Package invariant checks what must always hold inside the program.
//
// A broken invariant is a bug, never a property of input: bytes from disk or
// the wire are checked with errors. Check stops the test or simulation at once.
package invariant

import "fmt"

// Check panics with the formatted message unless ok.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf("invariant broken: "+format, args...))
	}
}
