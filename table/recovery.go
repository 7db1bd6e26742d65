package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

const (
	// maxRecoveryDays is how far back a table can be restored at most.
	maxRecoveryDays = 35
	// recoveryLag is how old the latest point is to which a table can be restored.
	recoveryLag = env.Time(5 * time.Minute)
)

// SetRecovery switches point-in-time recovery on or off; days says how far back
// it is to reach, 0 as far as it does or can. The state is kept; restoring is
// not built yet.
//
// Errors: *ValidationError, *NotFoundError, *InUseError.
func (s *Service) SetRecovery(table string, on bool, days int) (Recovery, error) {
	var set Recovery
	err := s.alter(table, func(r *record, now env.Time) error {
		switch {
		case !on && days != 0:
			return invalidValue("RecoveryPeriodInDays can only be specified when PointInTimeRecoveryEnabled is true")
		case !on:
			r.recovery = Recovery{}
		case r.recovery.Since == 0:
			r.recovery = Recovery{Since: now, Days: maxRecoveryDays}
		}
		if days != 0 {
			r.recovery.Days = days
		}
		set = r.recovery
		return nil
	})
	return set, err
}

// Recovery returns the state of point-in-time recovery.
//
// Errors: *NotFoundError.
func (s *Service) Recovery(table string) (Recovery, error) {
	r, err := s.find(table)
	if err != nil {
		return Recovery{}, err
	}
	return r.recovery, nil
}

// Window returns the times to which a table can be restored at now: [earliest, latest].
func (r Recovery) Window(now env.Time) (earliest, latest env.Time) {
	earliest = max(r.Since, now-env.Time(r.Days)*dayNanos)
	return earliest, max(earliest, now-recoveryLag)
}
