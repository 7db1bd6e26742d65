package server

import (
	"maps"
	"slices"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

const maxBatchKeys = 100

func (f *frontend) batchGetItem(in *api.BatchGetItemInput) (*api.BatchGetItemOutput, error) {
	request, err := batchGetRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.BatchGet(request)
	if err != nil {
		return nil, err
	}
	return answerBatchGet(in, request, r), nil
}

// batchGetRequest lists the tables in the order of their names.
func batchGetRequest(in *api.BatchGetItemInput) (*table.BatchGetRequest, error) {
	if len(in.RequestItems) == 0 {
		return nil, validationFault("The requestItems parameter is required for BatchGetItem")
	}
	request := &table.BatchGetRequest{}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		asked := in.RequestItems[name]
		t, err := batchGetTable(name, &asked)
		if err != nil {
			return nil, err
		}
		request.Tables = append(request.Tables, t)
		total += len(t.Keys)
	}
	if total > maxBatchKeys {
		return nil, validationFault("Too many items requested for the BatchGetItem call")
	}
	return request, nil
}

func batchGetTable(name string, asked *api.KeysAndAttributes) (t table.BatchGetTable, err error) {
	p := projecting{asked.AttributesToGet, asked.ProjectionExpression, asked.ExpressionAttributeNames}
	if err := p.checkMixing(); err != nil {
		return t, err
	}
	t = table.BatchGetTable{Table: name, Consistent: asked.ConsistentRead.Value}
	if t.Projection, err = p.parse(); err != nil {
		return t, err
	}
	t.Keys, err = batchKeys(asked.Keys)
	return t, err
}

// batchKeys checks the values of keys and that none occurs twice.
func batchKeys(asked []api.Attributes) ([]item.Item, error) {
	keys := make([]item.Item, len(asked))
	seen := make(map[string]bool, len(asked))
	for i := range asked {
		if err := checkValues(&asked[i]); err != nil {
			return nil, err
		}
		keys[i] = asked[i].Item
	}
	for _, key := range keys {
		if seen[string(key)] {
			return nil, validationFault("Provided list of item keys contains duplicates")
		}
		seen[string(key)] = true
	}
	return keys, nil
}

func answerBatchGet(in *api.BatchGetItemInput, request *table.BatchGetRequest, r *table.BatchGetResult) *api.BatchGetItemOutput {
	out := &api.BatchGetItemOutput{
		Responses:       make(map[string][]item.Item, len(r.Tables)),
		UnprocessedKeys: map[string]api.KeysAndAttributes{},
	}
	var used consumedList
	for i := range r.Tables {
		name, t := request.Tables[i].Table, &r.Tables[i]
		out.Responses[name] = t.Items
		if t.Items == nil {
			out.Responses[name] = []item.Item{}
		}
		if len(t.Unprocessed) > 0 {
			out.UnprocessedKeys[name] = unprocessedKeys(in.RequestItems[name], t.Unprocessed)
		}
		used.add(in.ReturnConsumedCapacity, name, t.Capacity.Read)
	}
	out.ConsumedCapacity = used
	return out
}

// unprocessedKeys is what to ask for again: the same parameters, fewer keys.
func unprocessedKeys(asked api.KeysAndAttributes, keys []item.Item) api.KeysAndAttributes {
	asked.Keys = make([]api.Attributes, len(keys))
	for i, key := range keys {
		asked.Keys[i] = api.Attrs(key)
	}
	return asked
}
