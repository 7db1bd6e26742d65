package table

import (
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/env"
)

// find returns the record of a table, by name or ARN, for an operation that
// shows a setting. A table that shows that it is being deleted has no settings.
func (s *Service) find(table string) (*record, error) {
	if s.live.Load() == nil {
		return nil, ErrClosed
	}
	return s.recordNow(table)
}

// recordNow returns the record of a table, by name or ARN, as of now; an older one if the catalog
// cannot be asked. A table that is not in an old catalog may be there all the same.
func (s *Service) recordNow(table string) (*record, error) {
	err := s.refresh()
	r := s.record(s.name(table))
	switch {
	case r != nil && err != nil:
		s.env.Sometimes("table: record may be old")
	case r == nil && err != nil:
		return nil, fmt.Errorf("%w: table %s: %w", ErrUnavailable, table, err)
	case r == nil:
		return nil, &NotFoundError{Table: table, Control: true}
	}
	return r, nil
}

// alter replaces the record of a table by what change makes of a copy of it.
// The copy shares slices and what pointers lead to, so change must not write
// there. A table that is being created or deleted refuses.
func (s *Service) alter(table string, change func(r *record, now env.Time) error) error {
	name := s.name(table)
	s.control.Lock()
	defer s.control.Unlock()
	if err := s.inChargeNow(); err != nil {
		return err
	}
	if t := s.pending(name); t != nil && t.status != StatusUpdating {
		return s.checkIdle(name)
	}
	if err := s.settle(name); err != nil {
		return err
	}
	r := s.record(name)
	if r == nil {
		return &NotFoundError{Table: table, Control: true}
	}
	now, _ := s.env.Wall()
	var err error
	next := r.with(func(next *record) { err = change(next, now) })
	if err != nil {
		return err
	}
	_, err = s.replace(next)
	return s.elsewhere(err)
}

// Tag adds tags to a table, or changes their values.
//
// Errors: *ValidationError, *NotFoundError, *InUseError.
func (s *Service) Tag(table string, tags []Tag) error {
	return s.alter(table, func(r *record, _ env.Time) error {
		all := slices.Clone(r.def.Tags)
		for i, t := range tags {
			if slices.ContainsFunc(tags[:i], func(u Tag) bool { return u.Key == t.Key }) {
				return duplicateTag(t.Key)
			}
			at := slices.IndexFunc(all, func(u Tag) bool { return u.Key == t.Key })
			if at < 0 {
				all = append(all, t)
			} else {
				all[at] = t
			}
		}
		r.def.Tags = all
		return checkTags(&r.def)
	})
}

// Untag removes tags from a table. Those that it does not have do not matter.
//
// Errors: *NotFoundError, *InUseError.
func (s *Service) Untag(table string, keys []string) error {
	return s.alter(table, func(r *record, _ env.Time) error {
		r.def.Tags = slices.DeleteFunc(slices.Clone(r.def.Tags), func(t Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
}

// Tags returns the tags of a table. The caller must not change them.
//
// Errors: *NotFoundError.
func (s *Service) Tags(table string) ([]Tag, error) {
	r, err := s.find(table)
	if err != nil {
		return nil, err
	}
	return r.def.Tags, nil
}
