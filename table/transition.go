package table

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A transition is the time during which a table shows that it is being created,
// updated or deleted. In truth that is done already (ADR 6); but clients of the
// service wait for it, and those that do not should find out. It is a matter of
// this process only: after a restart all transitions are over.
//
// While it lasts, a table that is being created or deleted does not exist for
// the data plane, and no table can be changed.
type transition struct {
	status string       // CREATING, UPDATING or DELETING
	shown  *Description // meanwhile
	until  env.Mono
	over   atomic.Bool // until has passed
}

// patience is how much longer a transition may last if Describe is to wait for
// its end. SDKs wait for a table by asking at once and then, if it is not there
// yet, only every 20 seconds.
const patience = time.Second

// pending returns the transition that a table is in, nil if none.
func (s *Service) pending(name string) *transition {
	m := s.transitions.Load()
	if m == nil {
		return nil
	}
	t := (*m)[name]
	if t == nil || !t.over.Load() && s.env.Now() < t.until {
		return t
	}
	t.over.Store(true)
	s.forgetTransitions()
	return nil
}

// creating reports whether a table shows that it is being created.
func (s *Service) creating(name string) bool {
	t := s.pending(name)
	return t != nil && t.status == StatusCreating
}

// forgetTransitions drops those that are over, so that most of the time there
// is nothing to look at.
func (s *Service) forgetTransitions() {
	for {
		m := s.transitions.Load()
		if m == nil {
			return
		}
		next := maps.Clone(*m)
		maps.DeleteFunc(next, func(_ string, t *transition) bool { return t.over.Load() })
		replacement := &next
		if len(next) == 0 {
			replacement = nil
		}
		if s.transitions.CompareAndSwap(m, replacement) {
			return
		}
	}
}

// begin starts a transition, if there are any, and returns what the operation
// answers with. The caller holds control.
func (s *Service) begin(status string, d *Description) *Description {
	d.show(status)
	if s.tableDelay <= 0 {
		return d
	}
	t := &transition{status: status, shown: d, until: s.env.Now().Add(s.tableDelay)}
	for {
		m := s.transitions.Load()
		next := map[string]*transition{}
		if m != nil {
			next = maps.Clone(*m)
		}
		next[d.Name] = t
		if s.transitions.CompareAndSwap(m, &next) {
			return d
		}
	}
}

// end ends a transition before its time.
func (s *Service) end(name string) {
	if t := s.pending(name); t != nil {
		t.over.Store(true)
		s.forgetTransitions()
	}
}

// show has a description show a status that is to last, and what goes with it.
func (d *Description) show(status string) {
	d.Status = status
	switch status {
	case StatusCreating:
		for i := range d.GlobalIndexStatus {
			d.GlobalIndexStatus[i] = StatusCreating
		}
	case StatusDeleting:
		d.LocalIndexes, d.GlobalIndexes, d.GlobalIndexStatus, d.GlobalIndexChanges = nil, nil, nil, nil
	}
}

// checkIdle refuses to change a table that is in a transition.
func (s *Service) checkIdle(name string) error {
	t := s.pending(name)
	if t == nil {
		return nil
	}
	return inUse(name, t.status)
}

func inUse(name, status string) error {
	verb := map[string]string{StatusCreating: "created", StatusUpdating: "updated", StatusDeleting: "deleted"}[status]
	return &InUseError{Message: "Attempt to change a resource which is still in use: Table is being " + verb + ": " + name, Status: status}
}
