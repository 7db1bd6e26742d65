package server

import (
	"encoding/json"
	"strings"

	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// Resource-based policies are kept and shown. Nothing is decided by them yet:
// any caller may do everything within its account, and nothing outside.

func (f *frontend) putResourcePolicy(in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	arn := in.ResourceArn.Value
	if err := f.checkPolicyARN(arn, "PutResourcePolicy"); err != nil {
		return nil, err
	}
	if err := checkPolicy(in.Policy.Value); err != nil {
		return nil, err
	}
	revision, err := f.tables.PutPolicy(arn, in.Policy.Value, in.ExpectedRevisionId.Value)
	if err != nil {
		return nil, resourceError(arn, err)
	}
	return &api.PutResourcePolicyOutput{RevisionId: api.Some(revision)}, nil
}

func (f *frontend) getResourcePolicy(in *api.GetResourcePolicyInput) (*api.GetResourcePolicyOutput, error) {
	arn := in.ResourceArn.Value
	if err := f.checkPolicyARN(arn, "GetResourcePolicy"); err != nil {
		return nil, err
	}
	p, err := f.tables.Policy(arn)
	if err != nil {
		return nil, resourceError(arn, err)
	}
	return &api.GetResourcePolicyOutput{Policy: api.Some(p.Text), RevisionId: api.Some(p.Revision)}, nil
}

func (f *frontend) deleteResourcePolicy(in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	arn := in.ResourceArn.Value
	if err := f.checkPolicyARN(arn, "DeleteResourcePolicy"); err != nil {
		return nil, err
	}
	revision, err := f.tables.DeletePolicy(arn, in.ExpectedRevisionId.Value)
	if err != nil {
		return nil, resourceError(arn, err)
	}
	return &api.DeleteResourcePolicyOutput{RevisionId: api.Optional[string]{Value: revision, Given: revision != ""}}, nil
}

// checkPolicyARN accepts tables. Streams can have policies, too, but are not
// built yet.
func (f *frontend) checkPolicyARN(arn, action string) error {
	if api.IsARN(arn) && strings.Contains(arn, ":table/") && strings.Contains(arn, "/stream/") {
		return notBuiltFault(action + " of a stream")
	}
	return f.checkTableARN(arn, action)
}

// checkPolicy checks the form of a policy document: a JSON object whose
// statements say for each effect who, what and on which resource. One that is too
// large passes: the table refuses it.
func checkPolicy(text string) error {
	if len(text) > table.MaxPolicyBytes {
		return nil
	}
	var document struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return invalidPolicy("it is not a JSON object")
	}
	var statements []map[string]json.RawMessage
	if json.Unmarshal(document.Statement, &statements) != nil {
		var one map[string]json.RawMessage
		if json.Unmarshal(document.Statement, &one) != nil {
			return invalidPolicy("it has no Statement")
		}
		statements = append(statements, one)
	}
	if len(statements) == 0 {
		return invalidPolicy("it has no Statement")
	}
	for _, s := range statements {
		if effect := string(s["Effect"]); effect != `"Allow"` && effect != `"Deny"` {
			return invalidPolicy("a Statement has no Effect Allow or Deny")
		}
		for _, pair := range [][2]string{{"Principal", "NotPrincipal"}, {"Action", "NotAction"}, {"Resource", "NotResource"}} {
			if (s[pair[0]] == nil) == (s[pair[1]] == nil) {
				return invalidPolicy("a Statement needs either " + pair[0] + " or " + pair[1])
			}
		}
	}
	return nil
}

func invalidPolicy(why string) error {
	return validationFault("Invalid policy document: " + why)
}
