package table

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/replication"
)

// Create makes a table and answers with its description in status CREATING; by
// then the table is active, or will be when the transition is over.
//
// Errors: *ValidationError, *InUseError when the name is taken, *NotBuiltError.
func (s *Service) Create(d Definition) (*Description, error) {
	var err error
	if d.Name, err = s.newName(d.Name); err != nil {
		return nil, err
	}
	if err := checkDefinition(&d); err != nil {
		return nil, err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if err := s.inCharge(); err != nil {
		return nil, err
	}
	s = s.enter(s.id)
	if t := s.pending(d.Name); t != nil {
		return nil, &InUseError{Message: "Table already exists: " + d.Name} // or not gone yet
	}
	if err := s.settle(d.Name); err != nil {
		return nil, err
	}
	r, err := s.propose(createCommand(s.newRecord(d)))
	if errors.Is(err, errTableExists) {
		return nil, &InUseError{Message: "Table already exists: " + d.Name}
	}
	if err != nil {
		return nil, s.elsewhere(err)
	}
	made := s.begin(StatusCreating, s.describe(r))
	if err := s.bringUp(r); err != nil {
		if s.record(d.Name).isUp(r) {
			s.env.Sometimes("table: created by two in charge")
			return made, nil
		}
		s.end(d.Name)
		return nil, s.takeBack(r, err)
	}
	return made, nil
}

// isUp reports whether r is the record of the table that made was to be the beginning of, and
// the table is active: another node was in charge for a moment, and went on with it.
func (r *record) isUp(made *record) bool {
	return r != nil && r.id == made.id && r.status == recordActive
}

// takeBack removes a table that could not be brought up, and returns the error to answer with.
// Nobody was told that the table exists. If even this fails, the next change of
// the name tries again, or whoever is in charge next brings the table up. So it
// must not look as if another node had been asked, and nothing had happened.
func (s *Service) takeBack(r *record, err error) error {
	if now := s.record(r.def.Name); now == nil || now.id != r.id { // another node, in charge for a moment, has done so
		return fmt.Errorf("%w: table %s: %w", replication.ErrUnknownOutcome, r.def.Name, err)
	}
	if torn := s.tearDown(r); torn != nil {
		return fmt.Errorf("%w: table %s: %w; taking it back: %v", replication.ErrUnknownOutcome, r.def.Name, err, torn)
	}
	return s.elsewhere(err)
}

// settle clears away what a failed operation left of a table (a full disk may
// stop a creation or deletion in the middle), so that the next one finds the
// table active or gone. The caller holds control.
func (s *Service) settle(name string) error {
	if s.live.Load() == nil {
		return ErrClosed
	}
	if r := s.record(name); r != nil && r.status != recordActive {
		err := s.tearDown(r)
		if errors.Is(err, errUnfinished) {
			return inUse(name, StatusDeleting)
		}
		return err
	}
	return nil
}

// newRecord makes the record that the create command carries. What it draws
// and reads from the clock is decided here, once, and not by each replica.
func (s *Service) newRecord(d Definition) *record {
	now, _ := s.env.Wall()
	r := &record{space: s.id, status: recordCreating, uuid: newUUID(s.env), created: now, def: d}
	r.indexChanges = make([]ThroughputChanges, len(d.GlobalIndexes))
	if d.BillingMode == BillingOnDemand {
		r.onDemandSince = now
	}
	if d.Policy != "" {
		r.policy = Policy{}.next(d.Policy, now)
		r.def.Policy = ""
	}
	r.newStream(d.Stream, now)
	if d.Throughput == nil {
		r.def.Throughput = &Throughput{}
	}
	if d.TableClass != "" {
		r.classUpdated = now
	}
	r.slots = evenSlots(max(1, d.Partitions))
	for range d.GlobalIndexes {
		r.places = append(r.places, indexPlace{status: indexActive, slots: evenSlots(len(r.slots))})
	}
	s.place(r)
	return r
}

// evenSlots divides all hashes into n ranges of (nearly) equal length.
func evenSlots(n int) []slot {
	slots := make([]slot, n)
	for i := range slots {
		slots[i].first = hashBound(uint64(i), uint64(n))
	}
	return slots
}

// bringUp starts the groups of a table that is being created, tells them their
// schema and makes the table active.
func (s *Service) bringUp(r *record) error {
	t, err := s.start(r)
	if err != nil {
		return err
	}
	if err := s.configure(t, false); err != nil {
		return err
	}
	active, err := s.propose(replaceCommand(r.with(func(r *record) { r.status = recordActive })))
	if err != nil {
		return err
	}
	s.publish(active)
	return nil
}
