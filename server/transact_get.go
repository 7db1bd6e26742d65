package server

import (
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) transactGetItems(in *api.TransactGetItemsInput) (*api.TransactGetItemsOutput, error) {
	request := &table.TransactGetRequest{Items: make([]table.TransactGetItem, len(in.TransactItems))}
	for i := range in.TransactItems {
		var err error
		if request.Items[i], err = f.transactGet(in.TransactItems[i].Get); err != nil {
			return nil, err
		}
	}
	r, err := f.tables.TransactGet(request)
	if err != nil {
		return nil, err
	}
	out := &api.TransactGetItemsOutput{
		ConsumedCapacity: transactGetCapacity(in.ReturnConsumedCapacity, request, r),
		Responses:        make([]api.ItemResponse, len(r.Items)),
	}
	for i := range r.Items {
		out.Responses[i].Item = r.Items[i]
	}
	return out, nil
}

func (f *frontend) transactGet(in *api.Get) (get table.TransactGetItem, err error) {
	p := projecting{expression: in.ProjectionExpression, names: in.ExpressionAttributeNames}
	if err = p.checkMixing(); err != nil {
		return get, err
	}
	get = table.TransactGetItem{Table: in.TableName.Value, Key: in.Key.Item}
	if err = checkValues(&in.Key); err != nil {
		if !isTooDeep(in.Key.Err) {
			return get, err
		}
		get.Invalid = in.Key.Err.Message
	}
	get.Projection, err = p.parse(f)
	return get, err
}
