package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// Options configures a Service. The zero value is a good default.
type Options struct {
	Region     string        // in ARNs; default us-east-1
	Account    string        // in ARNs; default 000000000000
	ClockBound time.Duration // largest clock error to accept from the host; 0 = what env claims
}

// A Service executes table operations. It is safe for concurrent use.
type Service struct{}

// Open starts the catalog and every table of the node.
func Open(e *env.Env, db *lsm.DB, node *replication.Node, o Options) (*Service, error) {
	return nil, &NotBuiltError{What: "opening the tables"}
}

// Create makes a table.
func (s *Service) Create(d Definition) (*Description, error) {
	return nil, &NotBuiltError{What: "CreateTable"}
}

// Describe shows a table by name or ARN.
func (s *Service) Describe(table string) (*Description, error) {
	return nil, &NotBuiltError{What: "DescribeTable"}
}

// List returns up to limit table names after startAfter in byte order.
func (s *Service) List(startAfter string, limit int) (names []string, last string, err error) {
	return nil, "", &NotBuiltError{What: "ListTables"}
}

// Delete drops a table with all its items.
func (s *Service) Delete(table string) (*Description, error) {
	return nil, &NotBuiltError{What: "DeleteTable"}
}

// Update changes settings of a table.
func (s *Service) Update(r UpdateTableRequest) (*Description, error) {
	return nil, &NotBuiltError{What: "UpdateTable"}
}

// Get reads one item.
func (s *Service) Get(r *GetRequest) (*GetResult, error) {
	return nil, &NotBuiltError{What: "GetItem"}
}

// Put replaces one item.
func (s *Service) Put(r *PutRequest) (*WriteResult, error) {
	return nil, &NotBuiltError{What: "PutItem"}
}

// DeleteItem removes one item.
func (s *Service) DeleteItem(r *DeleteRequest) (*WriteResult, error) {
	return nil, &NotBuiltError{What: "DeleteItem"}
}

// UpdateItem changes or creates one item.
func (s *Service) UpdateItem(r *UpdateRequest) (*WriteResult, error) {
	return nil, &NotBuiltError{What: "UpdateItem"}
}

// Query reads one item collection.
func (s *Service) Query(r *QueryRequest) (*Page, error) {
	return nil, &NotBuiltError{What: "Query"}
}

// Scan reads a table in hash order.
func (s *Service) Scan(r *ScanRequest) (*Page, error) {
	return nil, &NotBuiltError{What: "Scan"}
}

// BatchGet reads items of several tables.
func (s *Service) BatchGet(r *BatchGetRequest) (*BatchGetResult, error) {
	return nil, &NotBuiltError{What: "BatchGetItem"}
}

// BatchWrite puts and deletes items of several tables.
func (s *Service) BatchWrite(r *BatchWriteRequest) (*BatchWriteResult, error) {
	return nil, &NotBuiltError{What: "BatchWriteItem"}
}

// Close stops the service. Requests in flight are answered first.
func (s *Service) Close() error { return nil }
