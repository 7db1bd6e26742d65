package table

import "github.com/statordb/stator/partition"

// UpdateItem changes attributes of one item, or creates it. The condition is
// judged before the update is evaluated, both inside the partition.
//
// Errors: *NotFoundError, *ValidationError, *ConditionFailedError.
func (s *Service) UpdateItem(r *UpdateRequest) (*WriteResult, error) { return s.write(r) }

func (r *UpdateRequest) begin(s *Service) (pendingWrite, error) {
	t, err := s.lookup(r.Table)
	if err != nil {
		return pendingWrite{}, err
	}
	if err := t.checkUpdate(r); err != nil {
		return pendingWrite{}, err
	}
	return s.proposeWrite(t, &partition.Command{
		Kind:            partition.Update,
		Return:          partition.ReturnValues(r.Return),
		ReturnOnFailure: r.ReturnOnFailure,
		Condition:       r.Condition,
		Update:          r.Update,
		Item:            r.Key,
	}), nil
}

func (t *liveTable) checkUpdate(r *UpdateRequest) error {
	if err := t.schema.CheckKey(r.Key); err != nil {
		return refusal(err)
	}
	if r.Update != nil {
		for path := range r.Update.Paths() {
			if t.schema.IsKey(path.Top()) {
				return invalidValue("Cannot update attribute %s. This attribute is part of the key", path.Top())
			}
		}
		if err := t.checkKeyPaths(r.Update.Paths()); err != nil {
			return err
		}
		if err := t.checkKeyPaths(r.Update.Reads()); err != nil {
			return err
		}
		if err := t.schema.CheckUpdatedIndexKeys(r.Update.Constant); err != nil {
			return refusal(err)
		}
	}
	if r.Condition == nil {
		return nil
	}
	return t.checkKeyPaths(r.Condition.Paths())
}
