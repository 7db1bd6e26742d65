package server

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

var (
	errActionKind   = validationFault("TransactItems can only contain one of Check, Put, Update or Delete")
	errTransactSize = validationFault("Transaction request size cannot exceed 4 MB")
)

func (f *frontend) transactWriteItems(in *api.TransactWriteItemsInput) (*api.TransactWriteItemsOutput, error) {
	request, err := f.transactWriteRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.TransactWrite(request)
	if err != nil {
		return nil, err
	}
	out := &api.TransactWriteItemsOutput{
		ItemCollectionMetrics: transactMetrics(in.ReturnItemCollectionMetrics, request, r),
	}
	out.ConsumedCapacity = transactWriteCapacity(in.ReturnConsumedCapacity, request, r)
	return out, nil
}

func (f *frontend) transactWriteRequest(in *api.TransactWriteItemsInput) (*table.TransactWriteRequest, error) {
	for i := range in.TransactItems {
		if kindsOf(&in.TransactItems[i]) != 1 {
			return nil, errActionKind
		}
	}
	request := &table.TransactWriteRequest{
		Token:   in.ClientRequestToken.Value,
		Actions: make([]table.TransactAction, len(in.TransactItems)),
	}
	carried := 0
	for i := range in.TransactItems {
		size, err := f.transactAction(&in.TransactItems[i], &request.Actions[i])
		if err != nil {
			return nil, err
		}
		carried += size
	}
	if carried > table.MaxTransactBytes {
		return nil, errTransactSize
	}
	request.Parameters = parametersOf(request.Actions)
	return request, nil
}

// kindsOf returns how many actions an element has.
func kindsOf(e *api.TransactWriteItem) (n int) {
	for _, given := range []bool{e.ConditionCheck != nil, e.Put != nil, e.Update != nil, e.Delete != nil} {
		if given {
			n++
		}
	}
	return n
}

// transactAction sets an action and returns how many bytes of data it carries.
func (f *frontend) transactAction(e *api.TransactWriteItem, a *table.TransactAction) (size int, err error) {
	switch {
	case e.ConditionCheck != nil:
		return f.transactCheck(e.ConditionCheck, a)
	case e.Put != nil:
		return f.transactPut(e.Put, a)
	case e.Update != nil:
		return f.transactUpdate(e.Update, a)
	}
	return f.transactDelete(e.Delete, a)
}

func (f *frontend) transactCheck(in *api.ConditionCheck, a *table.TransactAction) (int, error) {
	*a = table.TransactAction{
		Kind:            table.TransactCheck,
		Table:           in.TableName.Value,
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}
	return f.guardAction(a, &in.Key, guarding{
		expression: in.ConditionExpression, names: in.ExpressionAttributeNames, values: &in.ExpressionAttributeValues,
	})
}

func (f *frontend) transactPut(in *api.Put, a *table.TransactAction) (int, error) {
	*a = table.TransactAction{
		Kind:            table.TransactPut,
		Table:           in.TableName.Value,
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}
	size, err := f.guardAction(a, &in.Item, guarding{
		expression: in.ConditionExpression, names: in.ExpressionAttributeNames, values: &in.ExpressionAttributeValues,
	})
	if checkItemSize(in.Item.Item) != nil {
		a.Invalid = item.MsgItemSize
	}
	return size, err
}

func (f *frontend) transactDelete(in *api.Delete, a *table.TransactAction) (int, error) {
	*a = table.TransactAction{
		Kind:            table.TransactDelete,
		Table:           in.TableName.Value,
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}
	return f.guardAction(a, &in.Key, guarding{
		expression: in.ConditionExpression, names: in.ExpressionAttributeNames, values: &in.ExpressionAttributeValues,
	})
}

// guardAction adds the item or key, and the condition, of all actions but updates. What
// is nested too deep is refused where the item is judged, not with the request.
func (f *frontend) guardAction(a *table.TransactAction, target *api.Attributes, g guarding) (size int, err error) {
	if err = g.check(); err != nil {
		return 0, err
	}
	if err = checkValues(target); err != nil && !isTooDeep(target.Err) {
		return 0, err
	}
	if a.Condition, err = g.parse(f); err != nil {
		return 0, err
	}
	if target.Err != nil {
		a.Invalid = target.Err.Message
	}
	a.Item = target.Item
	return carriedBytes(target, g.values), nil
}

// transactUpdate has the checks of UpdateItem.
func (f *frontend) transactUpdate(in *api.Update, a *table.TransactAction) (int, error) {
	key := in.Key
	if isTooDeep(key.Err) {
		a.Invalid = key.Err.Message
		key.Err = nil
	}
	r, err := f.updateRequest(&api.UpdateItemInput{
		ConditionExpression:                 in.ConditionExpression,
		ExpressionAttributeNames:            in.ExpressionAttributeNames,
		ExpressionAttributeValues:           in.ExpressionAttributeValues,
		Key:                                 key,
		ReturnValuesOnConditionCheckFailure: in.ReturnValuesOnConditionCheckFailure,
		TableName:                           in.TableName,
		UpdateExpression:                    in.UpdateExpression,
	})
	if err != nil {
		return 0, err
	}
	invalid := a.Invalid
	*a = updateAction(r)
	a.Invalid = invalid
	return carriedBytes(&key, &in.ExpressionAttributeValues), nil
}

func updateAction(r *table.UpdateRequest) table.TransactAction {
	return table.TransactAction{
		Kind: table.TransactUpdate, Table: r.Table, Item: r.Key, Condition: r.Condition, Update: r.Update, ReturnOnFailure: r.ReturnOnFailure,
	}
}

func isTooDeep(err *item.ValueError) bool { return err != nil && err.Kind == item.ErrorDepth }

func carriedBytes(parts ...*api.Attributes) (n int) {
	for _, p := range parts {
		n += p.Item.Size()
	}
	return n
}

// parametersOf returns a digest of what actions say, in whatever words: expressions
// count as they are understood, numbers and tables by what they are.
func parametersOf(actions []table.TransactAction) [sha256.Size]byte {
	var b []byte
	part := func(text []byte) {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	for i := range actions {
		a := &actions[i]
		b = append(b, byte(a.Kind), oneIf(a.ReturnOnFailure))
		part([]byte(bareName(a.Table)))
		part(a.Item)
		var condition, update []byte
		if a.Condition != nil {
			condition = a.Condition.AppendBinary(nil)
		}
		if a.Update != nil {
			update = a.Update.AppendBinary(nil)
		}
		part(condition)
		part(update)
		part([]byte(a.Invalid))
	}
	return sha256.Sum256(b)
}

func oneIf(on bool) byte {
	if on {
		return 1
	}
	return 0
}
