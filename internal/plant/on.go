//go:build plantedbugs

package plant

import "sync/atomic"

// Enabled says whether bugs can be planted in this program.
const Enabled = true

var (
	planted atomic.Uint32
	reached atomic.Uint64
)

// On reports whether the bug is planted.
func On(b Bug) bool {
	if Bug(planted.Load()) != b {
		return false
	}
	reached.Add(1)
	return true
}

// Set plants a bug, in place of any other, until it is called again with None.
func Set(b Bug) {
	planted.Store(uint32(b))
	reached.Store(0)
}

// Reached returns how often the code came to the site of the bug since Set.
func Reached() uint64 { return reached.Load() }
