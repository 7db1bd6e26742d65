package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// selecting is what a Query or Scan wants to see of the items it reads.
type selecting struct {
	mode            string // Select
	index           string
	attributesToGet []string
	projection      api.Optional[string]
	verb            string // "Querying" or "Scanning"
}

// check makes the checks of Select that need no table.
func (s *selecting) check() error {
	given := ""
	switch {
	case s.attributesToGet != nil:
		given = "AttributesToGet"
	case s.projection.Given:
		given = "ProjectionExpression"
	}
	switch {
	case s.mode == "SPECIFIC_ATTRIBUTES" && given == "":
		return validationFault("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case s.mode == "ALL_PROJECTED_ATTRIBUTES" && s.index == "":
		return validationFault("ALL_PROJECTED_ATTRIBUTES can be used only when " + s.verb + " using an IndexName")
	case s.mode != "" && s.mode != "SPECIFIC_ATTRIBUTES" && given != "":
		return validationFault("Cannot specify the " + given + " when choosing to get " + s.mode)
	}
	return nil
}

// reading is the part that Query and Scan have in common.
type reading struct {
	filter  *expr.Condition
	project *expr.Projection
}

// parse reads the filter and projection of a Query or Scan. Either the legacy
// parameters or the expressions may be given.
func (r *reading) parse(filter, projection api.Optional[string], params *expr.Params) (err error) {
	if filter.Given {
		if r.filter, err = expr.ParseCondition(expr.FilterExpression, filter.Value, params); err != nil {
			return err
		}
	}
	if projection.Given {
		if r.project, err = expr.ParseProjection(projection.Value, params); err != nil {
			return err
		}
	}
	return params.Unused()
}

// legacyFilter takes over QueryFilter or ScanFilter.
func (r *reading) legacyFilter(filter map[string]api.Condition, operator api.Optional[string]) (err error) {
	if filter != nil || operator.Given {
		r.filter, err = fromFilter(filter, operator)
	}
	return err
}

// legacyProjection takes over AttributesToGet.
func (r *reading) legacyProjection(names []string) (err error) {
	if names != nil {
		r.project, err = expr.FromAttributesToGet(names)
	}
	return err
}

// A pageAnswer is what Query and Scan answer with, under two names.
type pageAnswer = api.QueryOutput

func answerPage(p *table.Page, mode api.Optional[string], tableName string) *pageAnswer {
	if plant.On(plant.EdgeDropsLastKey) && p.Count == 0 {
		p.LastKey = nil
	}
	return &pageAnswer{
		Items:            p.Items,
		Count:            api.Some(int32(p.Count)),
		ScannedCount:     api.Some(int32(p.ScannedCount)),
		LastEvaluatedKey: api.Attrs(p.LastKey),
		ConsumedCapacity: consumed(mode, tableName, p.Capacity.Read, p.Indexes),
	}
}
