package table

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// Table names in requests are names or table ARNs. Items, keys and expressions
// must have passed the checks that need no schema: well-formed values, item
// size, expression syntax, parameter combinations (validation stages 1 to 3).
// Requests are read, not kept: the caller may reuse their memory after the
// call, and results never alias it.

// ReturnValues says which attributes a write answers with.
type ReturnValues byte

const (
	ReturnNone ReturnValues = iota
	AllOld
	AllNew
	UpdatedOld
	UpdatedNew
)

// Capacity is what a request used on the base table, in capacity units.
type Capacity struct{ Read, Write float64 }

// IndexCapacity is what a request used on one secondary index, in capacity
// units: of writes if it wrote, else of reads.
type IndexCapacity struct {
	Name  string
	Local bool
	Units float64
}

// A GetRequest asks for one item.
type GetRequest struct {
	Table      string
	Key        item.Item
	Consistent bool
	Projection *expr.Projection // nil = whole item
}

// A GetResult answers a GetRequest.
type GetResult struct {
	Item     item.Item // nil = missing
	Capacity Capacity
}

// A PutRequest replaces one item.
type PutRequest struct {
	Table           string
	Item            item.Item
	Condition       *expr.Condition // nil = none
	Return          ReturnValues    // ReturnNone or AllOld
	ReturnOnFailure bool            // a failed condition answers with the item
}

// A DeleteRequest removes one item.
type DeleteRequest struct {
	Table           string
	Key             item.Item
	Condition       *expr.Condition
	Return          ReturnValues // ReturnNone or AllOld
	ReturnOnFailure bool
}

// An UpdateRequest changes attributes of one item, or creates it.
type UpdateRequest struct {
	Table           string
	Key             item.Item
	Update          *expr.Update // nil = none: only makes sure that the item exists
	Condition       *expr.Condition
	Return          ReturnValues
	ReturnOnFailure bool
}

// A WriteResult answers a put, delete or update.
type WriteResult struct {
	Attributes item.Item // nil = absent
	Capacity   Capacity
	Indexes    []IndexCapacity // indexes whose entries changed
	// CollectionKey is the hash key attribute, for ItemCollectionMetrics, and
	// CollectionBytes the size of the item collection; nil unless the table has
	// local indexes.
	CollectionKey   item.Item
	CollectionBytes int64
}

// A QueryRequest reads one item collection in sort-key order.
type QueryRequest struct {
	Table, Index string // Index "" = base table
	Keys         *expr.KeyCondition
	Filter       *expr.Condition
	LegacyFilter bool // the filter came from QueryFilter, which error texts name
	FilterKeys   bool // the filter may mention key attributes, as those of statements do
	Projection   *expr.Projection
	// ProjectionNames: the projection came from AttributesToGet.
	ProjectionNames     bool
	Select              string // "", ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, COUNT, SPECIFIC_ATTRIBUTES
	Consistent, Reverse bool
	Limit               int       // 0 = none
	StartKey            item.Item // nil = none
}

// A ScanRequest reads a table, or one segment of it, in hash order.
type ScanRequest struct {
	Table, Index           string
	Filter                 *expr.Condition
	Projection             *expr.Projection
	Select                 string
	Consistent             bool
	Limit                  int
	StartKey               item.Item
	Segment, TotalSegments int // TotalSegments 0 = not parallel
}

// A Page answers a query or scan.
type Page struct {
	Items               []item.Item // nil when Select is COUNT
	Count, ScannedCount int         // after and before the filter
	LastKey             item.Item   // nil = nothing more to read
	Capacity            Capacity    // on the table; nothing if only an index was read
	Indexes             []IndexCapacity
}

// A BatchGetRequest reads up to 100 items of several tables.
type BatchGetRequest struct{ Tables []BatchGetTable }

// BatchGetTable is the part of a BatchGetRequest that concerns one table.
type BatchGetTable struct {
	Table      string
	Keys       []item.Item
	Consistent bool
	Projection *expr.Projection
}

// A BatchGetResult has one element per request table, in the same order.
type BatchGetResult struct{ Tables []BatchGetTableResult }

// BatchGetTableResult answers a BatchGetTable. Missing items are left out.
type BatchGetTableResult struct {
	Items       []item.Item
	Unprocessed []item.Item // keys to ask for again
	Capacity    Capacity
}

// A BatchWriteRequest puts and deletes up to 25 items of several tables.
type BatchWriteRequest struct{ Tables []BatchWriteTable }

// BatchWriteTable is the part of a BatchWriteRequest that concerns one table.
type BatchWriteTable struct {
	Table  string
	Writes []BatchWriteOp
}

// A BatchWriteOp is a put or a delete: exactly one field is non-nil.
type BatchWriteOp struct {
	Put    item.Item
	Delete item.Item // key
}

// A BatchWriteResult has one element per request table, in the same order.
type BatchWriteResult struct{ Tables []BatchWriteTableResult }

// BatchWriteTableResult answers a BatchWriteTable.
type BatchWriteTableResult struct {
	Unprocessed    []BatchWriteOp
	Capacity       Capacity
	Indexes        []IndexCapacity // indexes whose entries changed, each once
	CollectionKeys []item.Item     // one per item collection touched; only with local indexes
	// CollectionBytes are the sizes of these collections.
	CollectionBytes []int64
}
