package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/replication"
)

// Delete drops a table with all its items and answers with its description in
// status DELETING; by then the table is gone, or will be when the transition is
// over.
//
// A table goes in three replicated steps, so that a crash in between is noticed
// and finished at the next start: (1) the record says that the table is closing, and the data
// plane no longer sees it; its groups accept no transactions any more, and end those that they have; (2) the record says DELETING,
// and the groups are stopped; (3) record, rows and group states are removed in one batch.
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
	if err := s.tearDown(r); err != nil && !errors.Is(err, errUnfinished) { // the node in charge goes on
		return nil, err
	}
	return s.begin(StatusDeleting, d), nil
}

// turn gives a table another status.
func (s *Service) turn(r *record, to recordStatus) (*record, error) {
	return s.propose(replaceCommand(r.with(func(r *record) { r.status = to })))
}

// tearDown removes a table in whatever state it is. It can be repeated.
func (s *Service) tearDown(r *record) (err error) {
	name := r.def.Name
	r = s.record(name) // bringUp may have changed it
	if r.status == recordActive {
		if r, err = s.turn(r, recordClosing); err != nil {
			return s.elsewhere(err)
		}
	}
	// From here on something has happened to a table that was active, and whoever is in charge next goes on with it.
	if t := (*s.live.Load())[name]; t != nil {
		s.retract(name)
	}
	if r.status == recordClosing {
		if err = s.endTransactions(r); err != nil {
			return fmt.Errorf("%w: table %s: %w", replication.ErrUnknownOutcome, name, err)
		}
	}
	if before := r; r.status != recordDeleting {
		if r = s.record(name); r == nil || r.id != before.id {
			return nil // another node has been in charge, and is done with it
		}
		if r, err = s.turn(r, recordDeleting); err != nil && before.status == recordCreating {
			return s.elsewhere(err)
		} else if err != nil {
			return fmt.Errorf("%w: table %s: %w", replication.ErrUnknownOutcome, name, err)
		}
	}
	if err := s.removeGroups(r.groups()); err != nil {
		return fmt.Errorf("table %s: %w", r.def.Name, err)
	}
	if _, err = s.propose(dropCommand(r)); err != nil {
		return fmt.Errorf("%w: table %s: %w", replication.ErrUnknownOutcome, name, err)
	}
	return nil
}
