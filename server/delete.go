package server

import (
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) deleteItem(in *api.DeleteItemInput) (*api.DeleteItemOutput, error) {
	request, err := f.deleteRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.DeleteItem(request)
	if err != nil {
		return nil, err
	}
	return &api.DeleteItemOutput{
		Attributes:            r.Attributes,
		ConsumedCapacity:      consumed(in.ReturnConsumedCapacity, in.TableName.Value, r.Capacity.Write, r.Indexes),
		ItemCollectionMetrics: collectionMetrics(in.ReturnItemCollectionMetrics, r.CollectionKey, r.CollectionBytes),
	}, nil
}

func (f *frontend) deleteRequest(in *api.DeleteItemInput) (*table.DeleteRequest, error) {
	guard := guarding{in.ConditionExpression, in.Expected, in.ConditionalOperator, in.ExpressionAttributeNames, &in.ExpressionAttributeValues}
	if err := guard.check(); err != nil {
		return nil, err
	}
	if err := checkValues(&in.Key); err != nil {
		return nil, err
	}
	wanted, err := oldOrNone(in.ReturnValues)
	if err != nil {
		return nil, err
	}
	condition, err := guard.parse(f)
	if err != nil {
		return nil, err
	}
	return &table.DeleteRequest{
		Table:           in.TableName.Value,
		Key:             in.Key.Item,
		Condition:       condition,
		Return:          wanted,
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}, nil
}
