package server

import (
	"errors"
	"strconv"
	"strings"

	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// Clients ask for these settings of a table right after creating it. None of
// them can be changed yet, so the answers are short.

func (f *frontend) describeTimeToLive(in *api.DescribeTimeToLiveInput) (*api.DescribeTimeToLiveOutput, error) {
	if _, err := f.tables.Describe(in.TableName.Value); err != nil {
		return nil, err
	}
	return &api.DescribeTimeToLiveOutput{
		TimeToLiveDescription: &api.TimeToLiveDescription{TimeToLiveStatus: api.Some("DISABLED")},
	}, nil
}

// describeContinuousBackups belongs to the family that has an error of its own
// for tables that do not exist.
func (f *frontend) describeContinuousBackups(in *api.DescribeContinuousBackupsInput) (*api.DescribeContinuousBackupsOutput, error) {
	name := in.TableName.Value
	var missing *table.NotFoundError
	_, err := f.tables.Describe(name)
	if errors.As(err, &missing) {
		return nil, &api.TableNotFoundException{Message: api.Some("Table not found: " + name)}
	}
	if err != nil {
		return nil, err
	}
	return &api.DescribeContinuousBackupsOutput{
		ContinuousBackupsDescription: &api.ContinuousBackupsDescription{
			ContinuousBackupsStatus:        api.Some("DISABLED"),
			PointInTimeRecoveryDescription: &api.PointInTimeRecoveryDescription{PointInTimeRecoveryStatus: api.Some("DISABLED")},
		},
	}, nil
}

const tagsPerPage = 10

// listTagsOfResource shows the tags that CreateTable was given, ten at a time.
// NextToken is the number of tags shown before.
func (f *frontend) listTagsOfResource(in *api.ListTagsOfResourceInput) (*api.ListTagsOfResourceOutput, error) {
	arn := in.ResourceArn.Value
	if err := checkTableARN(arn); err != nil {
		return nil, err
	}
	var missing *table.NotFoundError
	d, err := f.tables.Describe(arn)
	if errors.As(err, &missing) {
		return nil, &api.ResourceNotFoundException{Message: api.Some("Requested resource not found: ResourcArn: " + arn + " not found")}
	}
	if err != nil {
		return nil, err
	}
	first := 0
	if in.NextToken.Given {
		if first, err = strconv.Atoi(in.NextToken.Value); err != nil || first < 0 || first > len(d.Tags) {
			return nil, validationFault("Invalid NextToken: " + in.NextToken.Value)
		}
	}
	return tagPage(d.Tags, first), nil
}

func tagPage(tags []table.Tag, first int) *api.ListTagsOfResourceOutput {
	last := min(first+tagsPerPage, len(tags))
	out := &api.ListTagsOfResourceOutput{Tags: []api.Tag{}}
	for _, t := range tags[first:last] {
		out.Tags = append(out.Tags, api.Tag{Key: api.Some(t.Key), Value: api.Some(t.Value)})
	}
	if last < len(tags) {
		out.NextToken = api.Some(strconv.Itoa(last))
	}
	return out
}

// checkTableARN accepts arn:aws:dynamodb:<region>:<account>:table/<name>.
func checkTableARN(arn string) error {
	if !api.IsARN(arn) {
		return validationFault("Invalid TableArn: ARNs must start with 'arn:': " + arn)
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "dynamodb" || !strings.HasPrefix(parts[5], "table/") || strings.Count(parts[5], "/") != 1 {
		return validationFault("Invalid TableArn: Invalid ResourceArn provided as input " + arn)
	}
	return nil
}
