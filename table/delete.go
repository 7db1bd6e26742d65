package table

import "github.com/statordb/stator/partition"

// DeleteItem removes one item. A missing item is no error, and a condition is
// then judged against an item without attributes.
//
// Errors: *NotFoundError, *ValidationError, *ConditionFailedError.
func (s *Service) DeleteItem(r *DeleteRequest) (*WriteResult, error) { return s.write(r) }

func (r *DeleteRequest) begin(s *Service) (pendingWrite, error) {
	t, err := s.lookup(r.Table)
	if err != nil {
		return pendingWrite{}, err
	}
	if err := t.checkDelete(r); err != nil {
		return pendingWrite{}, err
	}
	return s.proposeWrite(t, &partition.Command{
		Kind:            partition.Delete,
		Return:          partition.ReturnValues(r.Return),
		ReturnOnFailure: r.ReturnOnFailure,
		Condition:       r.Condition,
		Item:            r.Key,
	}), nil
}

func (t *liveTable) checkDelete(r *DeleteRequest) error {
	if err := t.schema.CheckKey(r.Key); err != nil {
		return refusal(err)
	}
	if r.Condition == nil {
		return nil
	}
	return t.checkKeyPaths(r.Condition.Paths())
}
