package txn

import (
	"fmt"

	"github.com/statordb/stator/internal/env"
)

// A Timestamp is a hybrid logical time: physical milliseconds, then a counter
// for events that fall into one millisecond.
//
//	63                          16 15            0
//	+-----------------------------+---------------+
//	| milliseconds since 1970     | logical       |
//	+-----------------------------+---------------+
//
// Timestamps compare as the integers they are. 48 bits of milliseconds last
// until the year 10889. A full counter carries into the milliseconds, so order
// is never lost; the physical part then runs ahead of the wall for a moment.
//
// The zero Timestamp is before all others and means "never".
//
// Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
type Timestamp uint64

const logicalBits = 16

// TimestampAt returns the first timestamp of the millisecond that t lies in.
// Times before 1970 give 0.
func TimestampAt(t env.Time) Timestamp {
	if t < 0 {
		return 0
	}
	return Timestamp(t.UnixMilli()) << logicalBits
}

// Physical returns the time that t stands for, to the millisecond.
func (t Timestamp) Physical() env.Time { return env.Time(t>>logicalBits) * 1e6 }

// Logical returns the position of t within its millisecond.
func (t Timestamp) Logical() int { return int(t & (1<<logicalBits - 1)) }

// String returns the milliseconds and the counter, as in "1700000000123+2".
func (t Timestamp) String() string {
	return fmt.Sprintf("%d+%d", uint64(t>>logicalBits), t.Logical())
}
