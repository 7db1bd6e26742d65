package server

import (
	"errors"

	"github.com/statordb/stator/table"
)

// Parse returns what a request on items asks of the tables: a *table.GetRequest,
// PutRequest, DeleteRequest, UpdateRequest, QueryRequest, ScanRequest, BatchGetRequest,
// BatchWriteRequest, TransactGetRequest or TransactWriteRequest. For other operations,
// and for requests that are refused before a table is asked, it returns nil. The request
// aliases body. It is for those who check what clients were told.
func Parse(operation string, body []byte) (request any) {
	p := &parsing{}
	front := &frontend{tables: p}
	run := front.operations()[operation]
	if run == nil || !parsable[operation] {
		return nil
	}
	if _, err := carryOut(run, body); !errors.Is(err, errParsed) {
		return nil
	}
	return p.request
}

// parsable are the operations that Parse knows.
var parsable = map[string]bool{
	"GetItem": true, "PutItem": true, "DeleteItem": true, "UpdateItem": true, "Query": true, "Scan": true,
	"BatchGetItem": true, "BatchWriteItem": true, "TransactGetItems": true, "TransactWriteItems": true,
}

// parsing stands in for tables: it keeps the request, and does nothing.
type parsing struct {
	tables  // nil: nothing else is asked
	request any
}

// errParsed ends an operation that has come as far as its table.
var errParsed = errors.New("server: parsed")

func (p *parsing) keep(request any) error {
	p.request = request
	return errParsed
}

func (p *parsing) Get(r *table.GetRequest) (*table.GetResult, error)   { return nil, p.keep(r) }
func (p *parsing) Put(r *table.PutRequest) (*table.WriteResult, error) { return nil, p.keep(r) }
func (p *parsing) Query(r *table.QueryRequest) (*table.Page, error)    { return nil, p.keep(r) }
func (p *parsing) Scan(r *table.ScanRequest) (*table.Page, error)      { return nil, p.keep(r) }
func (p *parsing) DeleteItem(r *table.DeleteRequest) (*table.WriteResult, error) {
	return nil, p.keep(r)
}

func (p *parsing) UpdateItem(r *table.UpdateRequest) (*table.WriteResult, error) {
	return nil, p.keep(r)
}

func (p *parsing) BatchGet(r *table.BatchGetRequest) (*table.BatchGetResult, error) {
	return nil, p.keep(r)
}

func (p *parsing) BatchWrite(r *table.BatchWriteRequest) (*table.BatchWriteResult, error) {
	return nil, p.keep(r)
}

func (p *parsing) TransactGet(r *table.TransactGetRequest) (*table.TransactGetResult, error) {
	return nil, p.keep(r)
}

func (p *parsing) TransactWrite(r *table.TransactWriteRequest) (*table.TransactWriteResult, error) {
	return nil, p.keep(r)
}
