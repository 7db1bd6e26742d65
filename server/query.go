package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) query(in *api.QueryInput) (*api.QueryOutput, error) {
	request, err := f.queryRequest(in)
	if err != nil {
		return nil, err
	}
	page, err := f.tables.Query(request)
	if err != nil {
		return nil, err
	}
	return answerPage(page, in.ReturnConsumedCapacity, in.TableName.Value), nil
}

func (f *frontend) queryRequest(in *api.QueryInput) (*table.QueryRequest, error) {
	if err := checkQueryParameters(in); err != nil {
		return nil, err
	}
	var read reading
	if err := read.legacyFilter(in.QueryFilter, in.ConditionalOperator); err != nil {
		return nil, err
	}
	if err := read.legacyProjection(in.AttributesToGet); err != nil {
		return nil, err
	}
	if err := checkStartKey(&in.ExclusiveStartKey); err != nil {
		return nil, err
	}
	keys, err := f.queryKeys(in, &read)
	if err != nil {
		return nil, err
	}
	selected := selecting{in.Select.Value, in.IndexName.Value, in.AttributesToGet, in.ProjectionExpression, "Querying"}
	if err := selected.check(); err != nil {
		return nil, err
	}
	return &table.QueryRequest{
		Table:           in.TableName.Value,
		Index:           in.IndexName.Value,
		Keys:            keys,
		Filter:          read.filter,
		LegacyFilter:    in.QueryFilter != nil,
		Projection:      read.project,
		ProjectionNames: in.AttributesToGet != nil,
		Select:          in.Select.Value,
		Consistent:      in.ConsistentRead.Value && !plant.On(plant.EdgeQueryNotConsistent),
		Reverse:         !in.ScanIndexForward.Or(true),
		Limit:           int(in.Limit.Value),
		StartKey:        in.ExclusiveStartKey.Item,
	}, nil
}

func checkQueryParameters(in *api.QueryInput) error {
	filter := parameter{"FilterExpression", in.FilterExpression.Given}
	keys := parameter{"KeyConditionExpression", in.KeyConditionExpression.Given}
	expressions := []parameter{{"ProjectionExpression", in.ProjectionExpression.Given}, filter, keys}
	legacy := []parameter{
		{"AttributesToGet", in.AttributesToGet != nil},
		{"QueryFilter", in.QueryFilter != nil},
		{"ConditionalOperator", in.ConditionalOperator.Given},
		{"KeyConditions", in.KeyConditions != nil && keys.given},
	}
	if err := checkMixing(legacy, expressions); err != nil {
		return err
	}
	if err := checkNamesUsable(in.ExpressionAttributeNames, expressions); err != nil {
		return err
	}
	return checkValuesUsable(&in.ExpressionAttributeValues, []parameter{filter, keys})
}

// queryKeys parses the expressions of a Query and returns what it requires of
// the keys. All expressions are parsed before it is looked at whether the key
// condition is one that an index can answer.
func (f *frontend) queryKeys(in *api.QueryInput, read *reading) (*expr.KeyCondition, error) {
	if in.KeyConditions == nil && !in.KeyConditionExpression.Given {
		return nil, validationFault("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	params, err := f.params(in.ExpressionAttributeNames, &in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	var condition *expr.Condition
	if in.KeyConditionExpression.Given {
		condition, err = expr.ParseCondition(expr.KeyConditionExpression, in.KeyConditionExpression.Value, params)
		if err != nil {
			return nil, err
		}
	}
	if err := read.parse(in.FilterExpression, in.ProjectionExpression, params); err != nil {
		return nil, err
	}
	if condition == nil {
		return fromKeyConditions(in.KeyConditions)
	}
	return keyCondition(condition, in.IndexName.Given)
}

// keyCondition restricts a condition to keys. Only an index may have a key of
// more than two attributes; which one it is, the table knows.
func keyCondition(c *expr.Condition, index bool) (*expr.KeyCondition, error) {
	keys, err := expr.NewKeyCondition(c)
	if err == nil && !index && len(keys.Terms) > 2 {
		return nil, expr.ErrKeyConditionLength
	}
	return keys, err
}
