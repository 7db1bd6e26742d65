package server

import "github.com/statordb/stator/server/api"

// describeEndpoints names the regional endpoint, as DynamoDB does. Clients
// that were given an address keep using it unless discovery is turned on.
func (f *frontend) describeEndpoints(*api.DescribeEndpointsRequest) (*api.DescribeEndpointsResponse, error) {
	return &api.DescribeEndpointsResponse{Endpoints: []api.Endpoint{{
		Address:              api.Some("dynamodb." + f.region + ".amazonaws.com"),
		CachePeriodInMinutes: api.Some[int64](1440),
	}}}, nil
}
