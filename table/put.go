package table

import "github.com/statordb/stator/partition"

// Put replaces one item, or creates it.
//
// Errors: *NotFoundError, *ValidationError, *ConditionFailedError.
func (s *Service) Put(r *PutRequest) (*WriteResult, error) { return s.write(r) }

func (r *PutRequest) begin(s *Service) (pendingWrite, error) {
	t, err := s.lookup(r.Table)
	if err != nil {
		return pendingWrite{}, err
	}
	if err := t.checkPut(r); err != nil {
		return pendingWrite{}, err
	}
	return s.proposeWrite(t, &partition.Command{
		Kind:            partition.Put,
		Return:          partition.ReturnValues(r.Return),
		ReturnOnFailure: r.ReturnOnFailure,
		Condition:       r.Condition,
		Item:            r.Item,
	}), nil
}

func (t *liveTable) checkPut(r *PutRequest) error {
	if err := t.schema.CheckItem(r.Item); err != nil {
		return refusal(err)
	}
	if err := t.schema.CheckIndexKeys(r.Item); err != nil {
		return refusal(err)
	}
	if r.Condition == nil {
		return nil
	}
	return t.checkKeyPaths(r.Condition.Paths())
}
