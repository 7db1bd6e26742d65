package server

import (
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) putItem(in *api.PutItemInput) (*api.PutItemOutput, error) {
	request, err := f.putRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.Put(request)
	if err != nil {
		return nil, err
	}
	return &api.PutItemOutput{
		Attributes:            r.Attributes,
		ConsumedCapacity:      consumed(in.ReturnConsumedCapacity, in.TableName.Value, r.Capacity.Write, r.Indexes),
		ItemCollectionMetrics: collectionMetrics(in.ReturnItemCollectionMetrics, r.CollectionKey, r.CollectionBytes),
	}, nil
}

func (f *frontend) putRequest(in *api.PutItemInput) (*table.PutRequest, error) {
	guard := guarding{in.ConditionExpression, in.Expected, in.ConditionalOperator, in.ExpressionAttributeNames, &in.ExpressionAttributeValues}
	if err := guard.check(); err != nil {
		return nil, err
	}
	if err := checkValues(&in.Item); err != nil {
		return nil, err
	}
	wanted, err := oldOrNone(in.ReturnValues)
	if err != nil {
		return nil, err
	}
	if err := checkItemSize(in.Item.Item); err != nil {
		return nil, err
	}
	condition, err := guard.parse(f)
	if err != nil {
		return nil, err
	}
	return &table.PutRequest{
		Table:           in.TableName.Value,
		Item:            in.Item.Item,
		Condition:       condition,
		Return:          wanted,
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}, nil
}
