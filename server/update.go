package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) updateItem(in *api.UpdateItemInput) (*api.UpdateItemOutput, error) {
	request, err := f.updateRequest(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.UpdateItem(request)
	if err != nil {
		return nil, err
	}
	return &api.UpdateItemOutput{
		Attributes:            r.Attributes,
		ConsumedCapacity:      consumed(in.ReturnConsumedCapacity, in.TableName.Value, r.Capacity.Write, r.Indexes),
		ItemCollectionMetrics: collectionMetrics(in.ReturnItemCollectionMetrics, r.CollectionKey, r.CollectionBytes),
	}, nil
}

func (f *frontend) updateRequest(in *api.UpdateItemInput) (*table.UpdateRequest, error) {
	if err := checkUpdateParameters(in); err != nil {
		return nil, err
	}
	if err := checkValues(&in.Key); err != nil {
		return nil, err
	}
	r := &table.UpdateRequest{
		Table:           in.TableName.Value,
		Key:             in.Key.Item,
		Return:          returnValues[in.ReturnValues.Value],
		ReturnOnFailure: onFailure(in.ReturnValuesOnConditionCheckFailure),
	}
	var err error
	if r.Update, err = fromAttributeUpdates(in.AttributeUpdates); err != nil {
		return nil, err
	}
	if r.Condition, err = fromExpected(in.Expected, in.ConditionalOperator); err != nil {
		return nil, err
	}
	return r, f.parseUpdate(in, r)
}

func checkUpdateParameters(in *api.UpdateItemInput) error {
	expressions := []parameter{
		{"UpdateExpression", in.UpdateExpression.Given},
		{"ConditionExpression", in.ConditionExpression.Given},
	}
	legacy := []parameter{
		{"AttributeUpdates", in.AttributeUpdates != nil},
		{"Expected", in.Expected != nil},
		{"ConditionalOperator", in.ConditionalOperator.Given},
	}
	if err := checkMixing(legacy, expressions); err != nil {
		return err
	}
	if err := checkNamesUsable(in.ExpressionAttributeNames, expressions); err != nil {
		return err
	}
	return checkValuesUsable(&in.ExpressionAttributeValues, expressions)
}

// parseUpdate adds the trees of the request's expressions to r.
func (f *frontend) parseUpdate(in *api.UpdateItemInput, r *table.UpdateRequest) error {
	if !in.UpdateExpression.Given && !in.ConditionExpression.Given {
		return nil
	}
	params, err := f.params(in.ExpressionAttributeNames, &in.ExpressionAttributeValues)
	if err != nil {
		return err
	}
	if in.UpdateExpression.Given {
		if r.Update, err = expr.ParseUpdate(in.UpdateExpression.Value, params); err != nil {
			return err
		}
	}
	if in.ConditionExpression.Given {
		r.Condition, err = expr.ParseCondition(expr.ConditionExpression, in.ConditionExpression.Value, params)
		if err != nil {
			return err
		}
	}
	return params.Unused()
}
