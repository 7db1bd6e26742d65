package server

import "github.com/statordb/stator/server/api"

func (f *frontend) deleteTable(in *api.DeleteTableInput) (*api.DeleteTableOutput, error) {
	d, err := f.tables.Delete(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	return &api.DeleteTableOutput{TableDescription: describe(d)}, nil
}
