package table

import (
	"fmt"

	"github.com/statordb/stator/replication"
)

// Delete drops a table with all its items and answers with its description in
// status DELETING; by then the table is gone, or will be when the transition is
// over.
//
// A table goes in two replicated steps, so that a crash in between is noticed
// and finished at the next start: (1) the record says DELETING, and the data
// plane no longer sees the table; the groups are stopped; (2) record, rows and
// group states are removed in one batch.
//
// Errors: *NotFoundError, *InUseError in a transition, *ValidationError when the
// table is protected.
func (s *Service) Delete(table string) (*Description, error) {
	name := s.name(table)
	s.control.Lock()
	defer s.control.Unlock()
	if err := s.inChargeNow(); err != nil {
		return nil, err
	}
	if err := s.checkIdle(name); err != nil {
		return nil, err
	}
	if err := s.settle(name); err != nil {
		return nil, err
	}
	r := s.record(name)
	if r == nil {
		return nil, &NotFoundError{Table: table, Control: true}
	}
	if r.building() {
		return nil, updating(name)
	}
	if r.def.DeletionProtection {
		return nil, &ValidationError{Message: "Resource cannot be deleted as it is currently protected against deletion. " +
			"Disable deletion protection first."}
	}
	d := s.describe(r)
	if err := s.tearDown(r); err != nil {
		return nil, err
	}
	return s.begin(StatusDeleting, d), nil
}

// tearDown removes a table in whatever state it is. It can be repeated.
func (s *Service) tearDown(r *record) (err error) {
	r = s.record(r.def.Name) // bringUp may have changed it
	if r.status != recordDeleting {
		r, err = s.propose(replaceCommand(r.with(func(r *record) { r.status = recordDeleting })))
		if err != nil {
			return s.elsewhere(err)
		}
	}
	if t := (*s.live.Load())[r.def.Name]; t != nil {
		s.retract(r.def.Name)
	}
	if err := s.removeGroups(r.groups()); err != nil {
		return fmt.Errorf("table %s: %w", r.def.Name, err)
	}
	if _, err = s.propose(dropCommand(r)); err != nil { // whoever is in charge next goes on with it
		return fmt.Errorf("%w: table %s: %w", replication.ErrUnknownOutcome, r.def.Name, err)
	}
	return nil
}
