package server

import (
	"strconv"

	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) scan(in *api.ScanInput) (*api.ScanOutput, error) {
	request, err := f.scanRequest(in)
	if err != nil {
		return nil, err
	}
	page, err := f.tables.Scan(request)
	if err != nil {
		return nil, err
	}
	answer := api.ScanOutput(*answerPage(page, in.ReturnConsumedCapacity, in.TableName.Value))
	return &answer, nil
}

func (f *frontend) scanRequest(in *api.ScanInput) (*table.ScanRequest, error) {
	if err := checkScanParameters(in); err != nil {
		return nil, err
	}
	var read reading
	if err := read.legacyProjection(in.AttributesToGet); err != nil {
		return nil, err
	}
	if err := read.legacyFilter(in.ScanFilter, in.ConditionalOperator); err != nil {
		return nil, err
	}
	if err := checkStartKey(&in.ExclusiveStartKey); err != nil {
		return nil, err
	}
	if err := checkSegments(in.Segment, in.TotalSegments); err != nil {
		return nil, err
	}
	params, err := f.params(in.ExpressionAttributeNames, &in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	if err := read.parse(in.FilterExpression, in.ProjectionExpression, params); err != nil {
		return nil, err
	}
	selected := selecting{in.Select.Value, in.IndexName.Value, in.AttributesToGet, in.ProjectionExpression, "Scanning"}
	if err := selected.check(); err != nil {
		return nil, err
	}
	return &table.ScanRequest{
		Table:         in.TableName.Value,
		Index:         in.IndexName.Value,
		Filter:        read.filter,
		Projection:    read.project,
		Select:        in.Select.Value,
		Consistent:    in.ConsistentRead.Value,
		Limit:         int(in.Limit.Value),
		StartKey:      in.ExclusiveStartKey.Item,
		Segment:       int(in.Segment.Value),
		TotalSegments: int(in.TotalSegments.Value),
	}, nil
}

func checkScanParameters(in *api.ScanInput) error {
	filter := parameter{"FilterExpression", in.FilterExpression.Given}
	expressions := []parameter{{"ProjectionExpression", in.ProjectionExpression.Given}, filter}
	legacy := []parameter{
		{"AttributesToGet", in.AttributesToGet != nil},
		{"ScanFilter", in.ScanFilter != nil},
		{"ConditionalOperator", in.ConditionalOperator.Given},
	}
	if err := checkMixing(legacy, expressions); err != nil {
		return err
	}
	if err := checkNamesUsable(in.ExpressionAttributeNames, expressions); err != nil {
		return err
	}
	return checkValuesUsable(&in.ExpressionAttributeValues, []parameter{filter})
}

// checkSegments checks the parameters of a parallel scan; both or none.
func checkSegments(segment, total api.Optional[int32]) error {
	switch {
	case segment.Given && !total.Given:
		return validationFault("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case total.Given && !segment.Given:
		return validationFault("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case total.Given && segment.Value >= total.Value:
		return validationFault("The Segment parameter is zero-based and must be less than parameter TotalSegments: " +
			"Segment: " + strconv.Itoa(int(segment.Value)) + " is not less than TotalSegments: " + strconv.Itoa(int(total.Value)))
	}
	return nil
}
