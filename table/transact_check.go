package table

import (
	"errors"

	"github.com/statordb/stator/item"
)

// A boundAction is an action, or a read, of which all is checked that needs no item.
type boundAction struct {
	table *liveTable
	row   []byte // key of the item's row
}

// errSameItem refuses a transaction that does two things with one item.
var errSameItem = refuse("Transaction request cannot include multiple operations on one item")

// bindActions finds the tables and rows of actions. In this order it refuses tables
// that do not exist, two actions on one item, and, as the reason of a cancelled
// transaction, the first action that does not fit its table.
func (s *Service) bindActions(actions []TransactAction) ([]boundAction, error) {
	return s.bind(len(actions), func(i int) (string, item.Item) { return actions[i].Table, actions[i].Item },
		func(t *liveTable, i int) error { return t.checkAction(&actions[i]) })
}

// bindGets is bindActions for reads.
func (s *Service) bindGets(gets []TransactGetItem) ([]boundAction, error) {
	return s.bind(len(gets), func(i int) (string, item.Item) { return gets[i].Table, gets[i].Key },
		func(t *liveTable, i int) error {
			if gets[i].Invalid != "" {
				return &ValidationError{Message: gets[i].Invalid}
			}
			return t.checkGet(gets[i].Key, gets[i].Projection)
		})
}

func (s *Service) bind(n int, about func(i int) (table string, target item.Item), check func(t *liveTable, i int) error) ([]boundAction, error) {
	bound := make([]boundAction, n)
	for i := range bound {
		name, _ := about(i)
		t, err := s.lookup(name)
		if err != nil {
			return nil, err
		}
		bound[i].table = t
	}
	seen := make(map[string]bool, n) // rows, whose keys begin with the table's id
	for i := range bound {
		b := &bound[i]
		_, target := about(i)
		if target == nil || b.table.schema.CheckKeyOf(target) != nil {
			continue // it is refused below
		}
		b.row = b.table.schema.AppendRowKey(nil, target)
		if seen[string(b.row)] {
			return nil, errSameItem
		}
		seen[string(b.row)] = true
	}
	for i := range bound {
		if err := check(bound[i].table, i); err != nil {
			return nil, unfitAction(n, i, err)
		}
	}
	return bound, nil
}

// unfitAction cancels a transaction of n actions because of what is wrong with one.
func unfitAction(n, at int, err error) error {
	var invalid *ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	reasons := make([]Reason, n)
	reasons[at] = Reason{Code: ReasonValidation, Message: invalid.Message}
	return &CancelledError{Reasons: reasons}
}

func (t *liveTable) checkAction(a *TransactAction) error {
	if a.Invalid != "" {
		return &ValidationError{Message: a.Invalid}
	}
	switch a.Kind {
	case TransactPut:
		return t.checkPut(&PutRequest{Item: a.Item, Condition: a.Condition})
	case TransactUpdate:
		return t.checkUpdate(&UpdateRequest{Key: a.Item, Condition: a.Condition, Update: a.Update})
	}
	return t.checkDelete(&DeleteRequest{Key: a.Item, Condition: a.Condition})
}
