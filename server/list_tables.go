package server

import "github.com/statordb/stator/server/api"

const defaultListLimit = 100

func (f *frontend) listTables(in *api.ListTablesInput) (*api.ListTablesOutput, error) {
	names, last, err := f.tables.List(in.ExclusiveStartTableName.Value, int(in.Limit.Or(defaultListLimit)))
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = []string{}
	}
	return &api.ListTablesOutput{
		TableNames:             names,
		LastEvaluatedTableName: api.Optional[string]{Value: last, Given: last != ""},
	}, nil
}
