package server

import "github.com/statordb/stator/server/api"

// describeLimits answers with DynamoDB's default quotas.
func (f *frontend) describeLimits(*api.DescribeLimitsInput) (*api.DescribeLimitsOutput, error) {
	return &api.DescribeLimitsOutput{
		AccountMaxReadCapacityUnits:  api.Some[int64](80000),
		AccountMaxWriteCapacityUnits: api.Some[int64](80000),
		TableMaxReadCapacityUnits:    api.Some[int64](40000),
		TableMaxWriteCapacityUnits:   api.Some[int64](40000),
	}, nil
}
