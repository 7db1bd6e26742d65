package compaction

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/manifest"
)

// A Policy decides what is merged, and when.
//
// It is a value without state: the View has it all. So it may be changed between
// two lives of a database, and a crash cannot confuse it.
type Policy interface {
	// Next returns what should be done first, or nil if there is nothing to do.
	// It is not in conflict with what is Running.
	Next(v *View) *Pick

	// Shape says what the levels should look like, and how far they are from it.
	Shape(v *View) Shape
}

// A Shape is what a policy wants of a database.
type Shape struct {
	// Targets say how many bytes each level may hold. 0: any number.
	Targets [manifest.Levels]uint64

	// Base is the level into which level 0 is merged.
	Base int

	// L0 is how many tables of level 0 are as it should be. 0: any number.
	L0 int

	// Every is how often time alone may give something to do. 0: never.
	Every time.Duration

	// Due is the first time at which a table is worth merging because of what has expired
	// in it, by the wall clock. 0: never.
	Due env.Time

	// Debt is about how many bytes must be rewritten until all is as it should be.
	Debt uint64
}

// lastLevel has nothing below.
const lastLevel = manifest.Levels - 1

// FillPermil is how full a level is, in thousandths of what it may hold; 0 if that is
// any amount.
func (s *Shape) FillPermil(v *manifest.Version, level int) uint64 {
	switch {
	case level == 0 && s.L0 > 0:
		return uint64(len(v.Levels[0])) * 1000 / uint64(s.L0)
	case s.Targets[level] > 0:
		return v.Bytes(level) * 1000 / s.Targets[level]
	}
	return 0
}

// agePart is how many times within an age it is looked whether something has reached it.
const agePart = 16
