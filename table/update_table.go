package table

import (
	"slices"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// Update changes settings of a table and answers with its description in status
// UPDATING, which, as in DynamoDB, still shows the throughput from before; by
// then the change is complete, although it shows only after the transition.
//
// Errors: *ValidationError, *NotFoundError, *InUseError in a transition,
// *LimitError, *NotBuiltError when the
// request has parameters that are not built yet.
func (s *Service) Update(u UpdateTableRequest) (*Description, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	name := s.name(u.Table)
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
		return nil, &NotFoundError{Table: u.Table, Control: true}
	}
	now, _ := s.env.Wall()
	next, err := u.change(r, now)
	if err != nil {
		return nil, err
	}
	if next, err = s.replace(next); err != nil {
		return nil, s.elsewhere(err)
	}
	s.startBuilder(next)
	d := s.describeChange(r, next)
	for i := range d.GlobalIndexes {
		if slices.ContainsFunc(u.GlobalIndexThroughput, func(x IndexThroughput) bool { return x.Name == d.GlobalIndexes[i].Name }) {
			d.GlobalIndexStatus[i] = StatusUpdating
		}
	}
	if u.immediate() {
		d.show(StatusUpdating)
		return d, nil
	}
	return s.begin(StatusUpdating, d), nil
}

// replace makes next the record of its table. Slots that it has more, those of an index that is
// added, get replicas on as many nodes as those of a new table. The caller holds control.
func (s *Service) replace(next *record) (*record, error) {
	s.place(next)
	next, err := s.propose(replaceCommand(next))
	if err != nil {
		return nil, err
	}
	if (*s.live.Load())[next.def.Name] != nil {
		s.publish(next)
	}
	return next, nil
}

// describeChange describes the moment of a change from r to next.
func (s *Service) describeChange(r, next *record) *Description {
	d := s.describe(next)
	if next.def.BillingMode == r.def.BillingMode {
		d.Throughput = r.def.Throughput
		created := d.GlobalIndexChanges[len(r.indexChanges):]
		s.describeChanges(d, r)
		d.GlobalIndexChanges = append(d.GlobalIndexChanges, created...)
		for i := range r.def.GlobalIndexes { // new ones come after them
			d.GlobalIndexes[i].Throughput = r.def.GlobalIndexes[i].Throughput
		}
	} else {
		d.BillingModeOnDemandSince = r.onDemandSince
	}
	if next.def.SSE != r.def.SSE {
		d.SSEStatus = StatusUpdating
	}
	return d
}

// immediate reports whether there is nothing to wait for: protection from
// deletion comes and goes at once.
func (u *UpdateTableRequest) immediate() bool {
	rest := *u
	rest.DeletionProtection = nil
	return rest.empty()
}

// check finds the first fault that needs no table to be seen.
func (u *UpdateTableRequest) check() error {
	if u.empty() {
		return refuse("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, " +
			"GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	if len(u.Others) > 0 {
		return &NotBuiltError{What: "UpdateTable with " + strings.Join(u.Others, ", ")}
	}
	if u.BillingMode == BillingOnDemand && u.Throughput != nil {
		return invalidValue("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	}
	if u.BillingMode == BillingProvisioned && u.Throughput == nil {
		return invalidValue("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
	}
	for _, err := range []error{checkUnits(u.Throughput, ""), u.Stream.check(), u.SSE.check()} {
		if err != nil {
			return err
		}
	}
	return u.checkIndexUpdates()
}

func (u *UpdateTableRequest) empty() bool {
	return u.BillingMode == "" && u.Throughput == nil && u.OnDemand == nil && u.WarmThroughput == nil &&
		u.Stream == nil && u.SSE == nil && len(u.GlobalIndexThroughput)+len(u.CreateIndexes)+len(u.DeleteIndexes) == 0 &&
		u.DeletionProtection == nil && u.TableClass == "" && len(u.Others) == 0
}

// change returns the record after the update.
func (u *UpdateTableRequest) change(r *record, now env.Time) (*record, error) {
	if err := u.checkBuilding(r); err != nil {
		return nil, err
	}
	for _, x := range u.GlobalIndexThroughput {
		if !hasIndex(r.def.GlobalIndexes, x.Name) {
			return nil, u.missingIndex(r, x.Name)
		}
	}
	if err := checkWarm(r.def.Warm(), u.WarmThroughput, ""); err != nil {
		return nil, err
	}
	next := r.withIndexes(func(next *record) { u.changeSettings(next, now) })
	if err := u.changeStream(next, now); err != nil {
		return nil, err
	}
	if err := u.changeEncryption(next); err != nil {
		return nil, err
	}
	if err := u.changeBilling(r, next, now); err != nil {
		return nil, err
	}
	next.def.OnDemand = next.def.OnDemand.changed(u.OnDemand)
	if err := u.changeIndexes(next, now); err != nil {
		return nil, err
	}
	if err := u.changePlaces(r, next); err != nil {
		return nil, err
	}
	return next, next.def.checkCaps()
}

// missingIndex: an update of a local index is refused as such; an unknown name
// is not found.
func (u *UpdateTableRequest) missingIndex(r *record, name string) error {
	if hasIndex(r.def.LocalIndexes, name) {
		return invalidValue("The local secondary index %s has no throughput of its own", name)
	}
	return &NotFoundError{Table: u.Table}
}

func (u *UpdateTableRequest) changeSettings(next *record, now env.Time) {
	if u.WarmThroughput != nil {
		warm := next.def.Warm().raised(u.WarmThroughput)
		next.def.WarmThroughput = &warm
	}
	if u.DeletionProtection != nil {
		next.def.DeletionProtection = *u.DeletionProtection
	}
	if u.TableClass != "" && u.TableClass != next.def.TableClass {
		next.def.TableClass = u.TableClass
		next.classUpdated = now
	}
}

// changeBilling applies the billing mode and the table's throughput, which
// depend on each other.
func (u *UpdateTableRequest) changeBilling(r, next *record, now env.Time) error {
	wasOnDemand := r.def.BillingMode == BillingOnDemand
	switch {
	case u.BillingMode == BillingOnDemand:
		if !wasOnDemand {
			next.goOnDemand(now)
		}
		return nil
	case wasOnDemand && u.BillingMode == BillingProvisioned:
		if err := u.checkProvisioned(r); err != nil {
			return err
		}
		next.goProvisioned(*u.Throughput)
		return nil
	case wasOnDemand && u.Throughput != nil:
		return invalidValue("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	}
	if u.BillingMode == BillingProvisioned {
		next.def.BillingMode = BillingProvisioned
	}
	if u.Throughput == nil {
		return nil
	}
	return next.changeThroughput(*u.Throughput, now)
}

// checkProvisioned checks that a table that becomes provisioned gets a
// throughput for every global index, too.
func (u *UpdateTableRequest) checkProvisioned(r *record) error {
	var missing []string
	for i := range r.def.GlobalIndexes {
		name := r.def.GlobalIndexes[i].Name
		if !slices.ContainsFunc(u.GlobalIndexThroughput, func(x IndexThroughput) bool { return x.Name == name && x.Throughput != nil }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return invalidValue("ProvisionedThroughput must be specified for index: %s", strings.Join(missing, ","))
	}
	return nil
}

// goOnDemand switches to PAY_PER_REQUEST: all units go to zero at once.
func (r *record) goOnDemand(now env.Time) {
	r.def.BillingMode = BillingOnDemand
	r.def.Throughput = &Throughput{}
	r.onDemandSince = now
	for i := range r.def.GlobalIndexes {
		r.def.GlobalIndexes[i].Throughput = nil
	}
}

// goProvisioned switches to PROVISIONED: caps of on-demand rates go.
func (r *record) goProvisioned(t Throughput) {
	r.def.BillingMode = BillingProvisioned
	r.def.Throughput = &t
	r.def.OnDemand = nil
	for i := range r.def.GlobalIndexes {
		r.def.GlobalIndexes[i].OnDemand = nil
	}
}

func (r *record) changeThroughput(t Throughput, now env.Time) error {
	old := *r.def.Throughput
	if t == old {
		return unchanged("table", "table", t)
	}
	if err := r.changes.note(old, t, now); err != nil {
		return err
	}
	r.def.Throughput = &t
	return nil
}

// unchanged refuses rates that are in force. which names the table or index,
// what says which of both it is.
func unchanged(which, what string, t Throughput) error {
	return refuse("The provisioned throughput for the %s will not change. The requested value equals the current value. "+
		"Current ReadCapacityUnits provisioned for the %s: %d. Requested ReadCapacityUnits: %d. "+
		"Current WriteCapacityUnits provisioned for the %s: %d. Requested WriteCapacityUnits: %d. "+
		"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
		which, what, t.Read, t.Read, what, t.Write, t.Write)
}

func (u *UpdateTableRequest) changeIndexes(next *record, now env.Time) error {
	for _, x := range u.GlobalIndexThroughput {
		at := slices.IndexFunc(next.def.GlobalIndexes, func(d IndexDefinition) bool { return d.Name == x.Name })
		index := &next.def.GlobalIndexes[at]
		if x.Throughput != nil {
			if next.def.BillingMode == BillingOnDemand {
				return indexUnitsOnDemand(x.Name)
			}
			if old := index.Throughput; old != nil {
				if *old == *x.Throughput {
					return unchanged("index "+x.Name, "index", *old)
				}
				if err := next.indexChanges[at].note(*old, *x.Throughput, now); err != nil {
					return err
				}
			}
			index.Throughput = x.Throughput
		}
		if err := checkWarm(next.def.WarmIndex(index), x.Warm, x.Name); err != nil {
			return err
		}
		if x.Warm != nil {
			warm := next.def.WarmIndex(index).raised(x.Warm)
			index.Warm = &warm
		}
		index.OnDemand = index.OnDemand.changed(x.OnDemand)
	}
	return nil
}
