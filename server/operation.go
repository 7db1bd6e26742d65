package server

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// An operation takes the JSON of a request and returns its answer. The body is
// a JSON object that passed jsonscan.Valid; it may be reused after the call.
type operation func(body []byte) (api.Output, error)

// tables is what operations need of the room below; *table.Service has it.
type tables interface {
	tableControl
	tableSettings
	singleItems
	collections
	statements
	transactions
}

// tableControl creates, changes and shows tables.
type tableControl interface {
	Create(d table.Definition) (*table.Description, error)
	Describe(name string) (*table.Description, error)
	List(startAfter string, limit int) (names []string, last string, err error)
	Delete(name string) (*table.Description, error)
	Update(r table.UpdateTableRequest) (*table.Description, error)
}

// tableSettings changes and shows what is set of a table after its creation.
// Tables are named by name or ARN.
type tableSettings interface {
	Tag(name string, tags []table.Tag) error
	Untag(name string, keys []string) error
	Tags(name string) ([]table.Tag, error)
	SetTimeToLive(name string, enabled bool, attribute string) error
	TimeToLive(name string) (status, attribute string, err error)
	SetRecovery(name string, on bool, days int) (table.Recovery, error)
	Recovery(name string) (table.Recovery, error)
	PutPolicy(name, text, expected string) (revision string, err error)
	DeletePolicy(name, expected string) (revision string, err error)
	Policy(name string) (table.Policy, error)
}

// singleItems reads and writes one item at a time.
type singleItems interface {
	Get(r *table.GetRequest) (*table.GetResult, error)
	Put(r *table.PutRequest) (*table.WriteResult, error)
	DeleteItem(r *table.DeleteRequest) (*table.WriteResult, error)
	UpdateItem(r *table.UpdateRequest) (*table.WriteResult, error)
}

// collections reads and writes many items at a time.
type collections interface {
	Query(r *table.QueryRequest) (*table.Page, error)
	Scan(r *table.ScanRequest) (*table.Page, error)
	BatchGet(r *table.BatchGetRequest) (*table.BatchGetResult, error)
	BatchWrite(r *table.BatchWriteRequest) (*table.BatchWriteResult, error)
}

// statements is what the statements of PartiQL need besides the operations
// that they become.
type statements interface {
	KeyNames(table, index string) (*table.KeyNames, error)
	WriteAll(list []table.Write) []table.WriteOutcome
}

// transactions read or write up to 100 items at one moment.
type transactions interface {
	TransactGet(r *table.TransactGetRequest) (*table.TransactGetResult, error)
	TransactWrite(r *table.TransactWriteRequest) (*table.TransactWriteResult, error)
}

// A frontend carries out operations on tables. There is one file per operation.
type frontend struct {
	tables          tables
	account, region string      // whose tables they are, and where
	trees           *expr.Cache // of the expressions in requests; nil = none
}

// operations returns every operation of the service by name. Those that are
// not built refuse with an error that says so.
func (f *frontend) operations() map[string]operation {
	all := make(map[string]operation, len(api.Operations))
	for _, name := range api.Operations {
		all[name] = func([]byte) (api.Output, error) { return nil, notBuiltFault(name) }
	}
	all["BatchExecuteStatement"] = typed(f.batchExecuteStatement)
	all["BatchGetItem"] = typed(f.batchGetItem)
	all["BatchWriteItem"] = typed(f.batchWriteItem)
	all["CreateBackup"] = typed(f.createBackup)
	all["CreateTable"] = typed(f.createTable)
	all["DeleteBackup"] = typed(f.deleteBackup)
	all["DeleteItem"] = typed(f.deleteItem)
	all["DeleteResourcePolicy"] = typed(f.deleteResourcePolicy)
	all["DeleteTable"] = typed(f.deleteTable)
	all["DescribeBackup"] = typed(f.describeBackup)
	all["DescribeContinuousBackups"] = typed(f.describeContinuousBackups)
	all["DescribeContributorInsights"] = typed(f.describeContributorInsights)
	all["DescribeEndpoints"] = typed(f.describeEndpoints)
	all["DescribeExport"] = typed(f.describeExport)
	all["DescribeGlobalTable"] = typed(f.describeGlobalTable)
	all["DescribeGlobalTableSettings"] = typed(f.describeGlobalTableSettings)
	all["DescribeImport"] = typed(f.describeImport)
	all["DescribeKinesisStreamingDestination"] = typed(f.describeKinesisDestination)
	all["DescribeLimits"] = typed(f.describeLimits)
	all["DescribeTable"] = typed(f.describeTable)
	all["DescribeTableReplicaAutoScaling"] = typed(f.describeReplicaAutoScaling)
	all["DescribeTimeToLive"] = typed(f.describeTimeToLive)
	all["ExecuteStatement"] = typed(f.executeStatement)
	all["ExecuteTransaction"] = typed(f.executeTransaction)
	all["ExportTableToPointInTime"] = typed(f.exportTable)
	all["GetItem"] = typed(f.getItem)
	all["GetResourcePolicy"] = typed(f.getResourcePolicy)
	all["ListBackups"] = typed(f.listBackups)
	all["ListContributorInsights"] = typed(f.listContributorInsights)
	all["ListExports"] = typed(f.listExports)
	all["ListGlobalTables"] = typed(f.listGlobalTables)
	all["ListImports"] = typed(f.listImports)
	all["ListTables"] = typed(f.listTables)
	all["ListTagsOfResource"] = typed(f.listTagsOfResource)
	all["PutItem"] = typed(f.putItem)
	all["PutResourcePolicy"] = typed(f.putResourcePolicy)
	all["Query"] = typed(f.query)
	all["RestoreTableFromBackup"] = typed(f.restoreTableFromBackup)
	all["RestoreTableToPointInTime"] = typed(f.restoreTableToPointInTime)
	all["Scan"] = typed(f.scan)
	all["TagResource"] = typed(f.tagResource)
	all["TransactGetItems"] = typed(f.transactGetItems)
	all["TransactWriteItems"] = typed(f.transactWriteItems)
	all["UntagResource"] = typed(f.untagResource)
	all["UpdateContinuousBackups"] = typed(f.updateContinuousBackups)
	all["UpdateGlobalTable"] = typed(f.updateGlobalTable)
	all["UpdateGlobalTableSettings"] = typed(f.updateGlobalTableSettings)
	all["UpdateItem"] = typed(f.updateItem)
	all["UpdateTable"] = typed(f.updateTable)
	all["UpdateTimeToLive"] = typed(f.updateTimeToLive)
	return all
}

// typed makes an operation of a method: it decodes the request (stage 1 of
// DynamoDB's validation) and checks the model's constraints (stage 2). The
// method makes the checks that need no table (stage 3) and calls the table.
func typed[T any, In interface {
	*T
	api.Input
}, Out api.Output](run func(In) (Out, error)) operation {
	return func(body []byte) (api.Output, error) {
		in := In(new(T))
		if err := api.Read(body, in); err != nil {
			return nil, err
		}
		out, err := run(in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}
