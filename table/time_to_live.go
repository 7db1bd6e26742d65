package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// timeToLiveInterval is how long time to live stays as it was set; Developer
// Guide, "Time to Live". It is not enforced where nothing else takes time, either.
const timeToLiveInterval = env.Time(time.Hour)

// The statuses of time to live.
const (
	StatusEnabling  = "ENABLING"
	StatusEnabled   = "ENABLED"
	StatusDisabling = "DISABLING"
	StatusDisabled  = "DISABLED"
)

// SetTimeToLive says which attribute tells when an item expires, or that none does.
//
// Errors: *ValidationError, *NotFoundError, *InUseError.
func (s *Service) SetTimeToLive(table string, enabled bool, attribute string) error {
	return s.alter(table, func(r *record, now env.Time) error {
		if err := r.ttl.check(enabled, attribute); err != nil {
			return err
		}
		if r.ttl.Changed != 0 && now-r.ttl.Changed < timeToLiveInterval && s.tableDelay > 0 {
			return refuse("Time to live has been modified multiple times within a fixed interval")
		}
		r.ttl = TimeToLive{Attribute: attribute, Enabled: enabled, Changed: now}
		if enabled {
			s.startExpirer()
		}
		return nil
	})
}

// check refuses a change to what is the case, or that means another attribute.
func (t *TimeToLive) check(enabled bool, attribute string) error {
	switch {
	case t.Enabled && t.Attribute != attribute:
		return refuse("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.Attribute)
	case t.Enabled && enabled:
		return refuse("TimeToLive is already enabled")
	case !t.Enabled && !enabled:
		return refuse("TimeToLive is already disabled")
	}
	return nil
}

// TimeToLive returns the state of time to live of a table and its attribute, ""
// when it is disabled.
//
// Errors: *NotFoundError.
func (s *Service) TimeToLive(table string) (status, attribute string, err error) {
	r, err := s.find(table)
	if err != nil {
		return "", "", err
	}
	now, _ := s.env.Wall()
	changing := r.ttl.Changed != 0 && now-r.ttl.Changed < env.Time(s.tableDelay)
	switch {
	case r.ttl.Enabled && changing:
		return StatusEnabling, r.ttl.Attribute, nil
	case r.ttl.Enabled:
		return StatusEnabled, r.ttl.Attribute, nil
	case changing:
		return StatusDisabling, r.ttl.Attribute, nil
	}
	return StatusDisabled, "", nil
}
