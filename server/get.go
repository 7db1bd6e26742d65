package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) getItem(in *api.GetItemInput) (*api.GetItemOutput, error) {
	projection, err := f.checkGet(in)
	if err != nil {
		return nil, err
	}
	r, err := f.tables.Get(&table.GetRequest{
		Table:      in.TableName.Value,
		Key:        in.Key.Item,
		Consistent: in.ConsistentRead.Value,
		Projection: projection,
	})
	if err != nil {
		return nil, err
	}
	return &api.GetItemOutput{
		Item:             r.Item,
		ConsumedCapacity: consumed(in.ReturnConsumedCapacity, in.TableName.Value, r.Capacity.Read, nil),
	}, nil
}

func (f *frontend) checkGet(in *api.GetItemInput) (*expr.Projection, error) {
	p := projecting{in.AttributesToGet, in.ProjectionExpression, in.ExpressionAttributeNames}
	if err := p.checkMixing(); err != nil {
		return nil, err
	}
	if err := checkValues(&in.Key); err != nil {
		return nil, err
	}
	return p.parse(f)
}

// projecting is the part of a request that selects attributes of items read
// by key.
type projecting struct {
	attributesToGet []string
	expression      api.Optional[string]
	names           map[string]string
}

func (p *projecting) checkMixing() error {
	expressions := []parameter{{"ProjectionExpression", p.expression.Given}}
	if err := checkMixing([]parameter{{"AttributesToGet", p.attributesToGet != nil}}, expressions); err != nil {
		return err
	}
	return checkNamesUsable(p.names, expressions)
}

// parse returns nil if everything is asked for.
func (p *projecting) parse(f *frontend) (*expr.Projection, error) {
	if p.attributesToGet != nil {
		return expr.FromAttributesToGet(p.attributesToGet)
	}
	if !p.expression.Given {
		return nil, nil
	}
	params, err := f.params(p.names, &api.Attributes{})
	if err != nil {
		return nil, err
	}
	projection, err := expr.ParseProjection(p.expression.Value, params)
	if err != nil {
		return nil, err
	}
	return projection, params.Unused()
}
