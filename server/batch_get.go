package server

import (
	"maps"
	"slices"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

const maxBatchKeys = 100

func (f *frontend) batchGetItem(in *api.BatchGetItemInput) (*api.BatchGetItemOutput, error) {
	request, err := f.batchGetRequest(in)
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
func (f *frontend) batchGetRequest(in *api.BatchGetItemInput) (*table.BatchGetRequest, error) {
	if len(in.RequestItems) == 0 {
		return nil, validationFault("The requestItems parameter is required for BatchGetItem")
	}
	request := &table.BatchGetRequest{}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		asked := in.RequestItems[name]
		t, err := f.batchGetTable(name, &asked)
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

func (f *frontend) batchGetTable(name string, asked *api.KeysAndAttributes) (t table.BatchGetTable, err error) {
	p := projecting{asked.AttributesToGet, asked.ProjectionExpression, asked.ExpressionAttributeNames}
	if err := p.checkMixing(); err != nil {
		return t, err
	}
	t = table.BatchGetTable{Table: name, Consistent: asked.ConsistentRead.Value}
	if t.Projection, err = p.parse(f); err != nil {
		return t, err
	}
	t.Keys, err = batchKeys(asked.Keys)
	return t, err
}

// batchKeys checks the values of keys and that none occurs twice.
func batchKeys(asked []api.Attributes) ([]item.Item, error) {
	keys := make([]item.Item, len(asked))
	for i := range asked {
		if err := checkValues(&asked[i]); err != nil {
			return nil, err
		}
		keys[i] = asked[i].Item
	}
	seen := make(map[string][]int, len(keys))
	for i, key := range keys {
		for _, earlier := range seen[string(key)] {
			if sameSpelling(asked[earlier].JSON, asked[i].JSON) {
				return nil, validationFault("Provided list of item keys contains duplicates")
			}
		}
		seen[string(key)] = append(seen[string(key)], i)
	}
	return keys, nil
}

// sameSpelling reports whether two texts of one key write its numbers alike. It
// is a quirk of the service that 1 and 1.0 are different keys to BatchGetItem,
// which then returns the item twice.
func sameSpelling(a, b []byte) bool { return maps.Equal(numberTexts(a), numberTexts(b)) }

// numberTexts returns the numbers of a key as the client wrote them.
func numberTexts(key []byte) map[string]string {
	texts := map[string]string{}
	s := jsonscan.New(key)
	if s.Peek() != jsonscan.Object { // null stands for no key
		return texts
	}
	s.EnterObject()
	for name, ok := s.NextMember(); ok; name, ok = s.NextMember() {
		attribute := string(name)
		if s.Peek() != jsonscan.Object {
			s.Skip()
			continue
		}
		s.EnterObject()
		for tag, ok := s.NextMember(); ok; tag, ok = s.NextMember() {
			if string(tag) == item.N.String() && s.Peek() == jsonscan.String {
				texts[attribute] = string(s.Str())
			} else {
				s.Skip()
			}
		}
	}
	return texts
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
		used.add(in.ReturnConsumedCapacity, name, t.Capacity.Read, nil)
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
