package server

import "github.com/statordb/stator/server/api"

// describeEndpoints is answered by the edge, which knows the address that the
// request came to; what is here has the request checked.
func (f *frontend) describeEndpoints(*api.DescribeEndpointsRequest) (*api.DescribeEndpointsResponse, error) {
	return &api.DescribeEndpointsResponse{}, nil
}

// endpointsAt names the endpoint of a request, as DynamoDB does. Clients with
// endpoint discovery switched on send there what follows.
func endpointsAt(host string) *api.DescribeEndpointsResponse {
	return &api.DescribeEndpointsResponse{Endpoints: []api.Endpoint{{
		Address:              api.Some(host),
		CachePeriodInMinutes: api.Some[int64](1440),
	}}}
}
