package server

import (
	"errors"
	"strconv"
	"strings"

	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// nothing is an answer without a body.
type nothing struct{}

func (nothing) AppendJSON(b []byte) []byte { return b }

func (f *frontend) tagResource(in *api.TagResourceInput) (nothing, error) {
	arn := in.ResourceArn.Value
	if err := f.checkTableARN(arn, "TagResource"); err != nil {
		return nothing{}, err
	}
	if len(in.Tags) == 0 {
		return nothing{}, validationFault("Atleast one Tag needs to be provided as Input.")
	}
	for _, t := range in.Tags {
		if key := t.Key.Value; key == partitionsTag || key == table.FacetsTag {
			return nothing{}, validationFault("Tag " + key + " can only be given when a table is created")
		}
	}
	return nothing{}, resourceError(arn, f.tables.Tag(arn, tags(in.Tags)))
}

func tags(in []api.Tag) []table.Tag {
	var out []table.Tag
	for _, t := range in {
		out = append(out, table.Tag{Key: t.Key.Value, Value: t.Value.Value})
	}
	return out
}

func (f *frontend) untagResource(in *api.UntagResourceInput) (nothing, error) {
	arn := in.ResourceArn.Value
	if err := f.checkTableARN(arn, "UntagResource"); err != nil {
		return nothing{}, err
	}
	if len(in.TagKeys) == 0 {
		return nothing{}, validationFault("Atleast one Tag Key needs to be provided as Input.")
	}
	return nothing{}, resourceError(arn, f.tables.Untag(arn, in.TagKeys))
}

const tagsPerPage = 10

// listTagsOfResource shows the tags of a table, ten at a time. NextToken is the
// number of tags shown before.
func (f *frontend) listTagsOfResource(in *api.ListTagsOfResourceInput) (*api.ListTagsOfResourceOutput, error) {
	arn := in.ResourceArn.Value
	if err := f.checkTableARN(arn, "ListTagsOfResource"); err != nil {
		return nil, err
	}
	tags, err := f.tables.Tags(arn)
	if err != nil {
		return nil, resourceError(arn, err)
	}
	first := 0
	if in.NextToken.Given {
		if first, err = strconv.Atoi(in.NextToken.Value); err != nil || first < 0 || first > len(tags) {
			return nil, validationFault("Invalid NextToken: " + in.NextToken.Value)
		}
	}
	return tagPage(tags, first), nil
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

// checkTableARN accepts arn:aws:dynamodb:<region>:<account>:table/<name> of the
// caller's account, for an action on that table.
func (f *frontend) checkTableARN(arn, action string) error {
	if !api.IsARN(arn) {
		return validationFault("Invalid TableArn: ARNs must start with 'arn:': " + arn)
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "dynamodb" || !strings.HasPrefix(parts[5], "table/") || strings.Count(parts[5], "/") != 1 {
		return validationFault("Invalid TableArn: Invalid ResourceArn provided as input " + arn)
	}
	if parts[4] != f.account {
		return deniedFault(f.account, action, arn)
	}
	return nil
}

// deniedFault refuses an action on something of another account, which only a
// policy of that other account could allow.
func deniedFault(account, action, arn string) *fault {
	return &fault{coralService, "AccessDeniedException", "Message", "User: arn:aws:iam::" + account + ":root is not authorized to perform: dynamodb:" + action +
		" on resource: " + arn + " because no resource-based policy allows the dynamodb:" + action + " action"}
}

// resourceError is err as operations that name a resource by ARN answer with it.
func resourceError(arn string, err error) error {
	var missing *table.NotFoundError
	if errors.As(err, &missing) {
		return &api.ResourceNotFoundException{Message: api.Some("Requested resource not found: ResourcArn: " + arn + " not found")}
	}
	return err
}
