package server

import (
	"maps"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

const maxBatchWrites = 25

func (f *frontend) batchWriteItem(in *api.BatchWriteItemInput) (*api.BatchWriteItemOutput, error) {
	request, err := batchWriteRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.BatchWrite(request)
	if err != nil {
		return nil, err
	}
	return answerBatchWrite(in, request, r), nil
}

// batchWriteRequest lists the tables in the order of their names.
func batchWriteRequest(in *api.BatchWriteItemInput) (*table.BatchWriteRequest, error) {
	if len(in.RequestItems) == 0 {
		return nil, validationFault("The requestItems parameter is required for BatchWriteItem")
	}
	request := &table.BatchWriteRequest{}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		writes, err := batchWrites(in.RequestItems[name])
		if err != nil {
			return nil, err
		}
		request.Tables = append(request.Tables, table.BatchWriteTable{Table: name, Writes: writes})
		total += len(writes)
	}
	if total > maxBatchWrites {
		return nil, validationFault("Too many items requested for the BatchWriteItem call")
	}
	return request, nil
}

func batchWrites(asked []api.WriteRequest) ([]table.BatchWriteOp, error) {
	writes := make([]table.BatchWriteOp, len(asked))
	for i := range asked {
		put, del := asked[i].PutRequest, asked[i].DeleteRequest
		switch {
		case (put == nil) == (del == nil):
			return nil, validationFault("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
		case put != nil:
			if err := checkValues(&put.Item); err != nil {
				return nil, err
			}
			if err := checkItemSize(put.Item.Item); err != nil {
				return nil, err
			}
			writes[i].Put = put.Item.Item
		default:
			if err := checkValues(&del.Key); err != nil {
				return nil, err
			}
			writes[i].Delete = del.Key.Item
		}
	}
	return writes, nil
}

func answerBatchWrite(in *api.BatchWriteItemInput, request *table.BatchWriteRequest, r *table.BatchWriteResult) *api.BatchWriteItemOutput {
	out := &api.BatchWriteItemOutput{UnprocessedItems: map[string][]api.WriteRequest{}}
	var used consumedList
	for i := range r.Tables {
		name, t := request.Tables[i].Table, &r.Tables[i]
		if len(t.Unprocessed) > 0 {
			out.UnprocessedItems[name] = unprocessedWrites(t.Unprocessed)
		}
		used.add(in.ReturnConsumedCapacity, name, t.Capacity.Write, t.Indexes)
		if m := collectionMetricsOf(in.ReturnItemCollectionMetrics, t.CollectionKeys, t.CollectionBytes); m != nil {
			if out.ItemCollectionMetrics == nil {
				out.ItemCollectionMetrics = map[string][]api.ItemCollectionMetrics{}
			}
			out.ItemCollectionMetrics[name] = m
		}
	}
	out.ConsumedCapacity = used
	return out
}

func unprocessedWrites(writes []table.BatchWriteOp) []api.WriteRequest {
	if plant.On(plant.EdgeForgetsUnprocessed) {
		writes = slices.DeleteFunc(writes, func(w table.BatchWriteOp) bool { return w.Put != nil })
	}
	out := make([]api.WriteRequest, len(writes))
	for i, w := range writes {
		if w.Put != nil {
			out[i].PutRequest = &api.PutRequest{Item: api.Attrs(w.Put)}
		} else {
			out[i].DeleteRequest = &api.DeleteRequest{Key: api.Attrs(w.Delete)}
		}
	}
	return out
}

// collectionMetricsOf is collectionMetrics for several item collections.
func collectionMetricsOf(mode api.Optional[string], keys []item.Item, bytes []int64) []api.ItemCollectionMetrics {
	var all []api.ItemCollectionMetrics
	for i, key := range keys {
		if m := collectionMetrics(mode, key, bytes[i]); m != nil {
			all = append(all, *m)
		}
	}
	return all
}
