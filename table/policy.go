package table

import (
	"strconv"

	"github.com/statordb/stator/internal/env"
)

// MaxPolicyBytes bounds a resource-based policy; Developer Guide, "Service,
// account, and table quotas".
const MaxPolicyBytes = 20 << 10

// NoPolicy as the expected revision means that there must not be a policy yet.
const NoPolicy = "NO_POLICY"

// PutPolicy attaches a policy to a table, in place of the one there is, and
// returns its revision. The same text keeps its revision. expected is the
// revision to replace, NoPolicy, or "" for any.
//
// Errors: *ValidationError, *NotFoundError, *PolicyNotFoundError, *InUseError.
func (s *Service) PutPolicy(table, text, expected string) (revision string, err error) {
	if err := policySize(text); err != nil {
		return "", err
	}
	err = s.alter(table, func(r *record, now env.Time) error {
		if err := r.policy.expect(table, expected); err != nil {
			return err
		}
		if text != r.policy.Text {
			r.policy = r.policy.next(text, now)
		}
		revision = r.policy.Revision
		return nil
	})
	return revision, err
}

func policySize(text string) error {
	if len(text) > MaxPolicyBytes {
		return refuse("Resource-based policy size exceeds the limit of %d bytes", MaxPolicyBytes)
	}
	return nil
}

// DeletePolicy removes the policy of a table, if it has one, and returns its
// revision.
//
// Errors: *NotFoundError, *PolicyNotFoundError, *InUseError.
func (s *Service) DeletePolicy(table, expected string) (revision string, err error) {
	err = s.alter(table, func(r *record, _ env.Time) error {
		if err := r.policy.expect(table, expected); err != nil {
			return err
		}
		revision = r.policy.Revision
		r.policy = Policy{}
		return nil
	})
	return revision, err
}

// Policy returns the policy of a table.
//
// Errors: *NotFoundError, *PolicyNotFoundError.
func (s *Service) Policy(table string) (Policy, error) {
	r, err := s.find(table)
	if err != nil {
		return Policy{}, err
	}
	if r.policy.Text == "" {
		return Policy{}, &PolicyNotFoundError{Table: table}
	}
	return r.policy, nil
}

// expect refuses if p is not the expected revision.
func (p Policy) expect(table, expected string) error {
	switch {
	case expected == "", expected == NoPolicy && p.Text == "", expected == p.Revision && p.Text != "":
		return nil
	}
	return &PolicyNotFoundError{Table: table}
}

// next returns a policy with another text. Its revision is the time in
// milliseconds, or more if that is not above the last one's.
func (p Policy) next(text string, now env.Time) Policy {
	revision := now.UnixMilli()
	if last, err := strconv.ParseInt(p.Revision, 10, 64); err == nil && revision <= last {
		revision = last + 1
	}
	return Policy{Text: text, Revision: strconv.FormatInt(revision, 10)}
}
