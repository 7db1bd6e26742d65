package table

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/item"
)

// A KeyRole says what a key attribute does: it chooses the item collection
// (Hash) or the position within it (Range).
type KeyRole byte

const (
	Hash  KeyRole = 1
	Range KeyRole = 2
)

// String returns the role as the API spells it: HASH or RANGE.
func (r KeyRole) String() string {
	switch r {
	case Hash:
		return "HASH"
	case Range:
		return "RANGE"
	}
	return "UNKNOWN"
}

// A KeyElement is one attribute of a key schema.
type KeyElement struct {
	Name string
	Role KeyRole
}

// An AttributeDefinition gives a key attribute its type: S, N or B.
type AttributeDefinition struct {
	Name string
	Type item.Type
}

// A Projection says which attributes an index entry carries.
type Projection struct {
	Type             string // ALL, KEYS_ONLY or INCLUDE; "" when not given
	NonKeyAttributes []string
}

// A Throughput is a pair of rates in capacity units per second.
type Throughput struct{ Read, Write int64 }

// An OnDemandThroughput caps an on-demand table or index, in request units per
// second: 0 = not given, -1 = no cap.
type OnDemandThroughput struct{ MaxRead, MaxWrite int64 }

// An IndexDefinition describes a local or a global secondary index.
type IndexDefinition struct {
	Name       string
	Keys       []KeyElement
	Projection *Projection         // nil when not given, which CreateTable refuses
	Throughput *Throughput         // global indexes only; nil when not given
	OnDemand   *OnDemandThroughput // global indexes only; nil when not given
	Warm       *Throughput         // rates it was warmed up to; global indexes only; nil when not given
}

// A StreamSpec asks for a stream of item changes.
type StreamSpec struct {
	Enabled  bool
	ViewType string // KEYS_ONLY, NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES
}

// An SSESpec chooses the key of encryption at rest.
type SSESpec struct {
	Enabled  bool
	Type     string // KMS, or ""
	KMSKeyID string
}

// A Tag is a label of a table.
type Tag struct{ Key, Value string }

// A Definition is what CreateTable carries and what the catalog keeps.
type Definition struct {
	Name       string
	Attributes []AttributeDefinition
	Keys       []KeyElement

	LocalIndexes, GlobalIndexes []IndexDefinition
	// A list that was given but is empty is an error of its own.
	LocalIndexesGiven, GlobalIndexesGiven bool

	BillingMode        string // PROVISIONED, PAY_PER_REQUEST; "" means PROVISIONED
	Throughput         *Throughput
	OnDemand           *OnDemandThroughput
	WarmThroughput     *Throughput
	Stream             *StreamSpec
	TableClass         string // STANDARD, STANDARD_INFREQUENT_ACCESS; "" when never set
	DeletionProtection bool
	SSE                *SSESpec
	Tags               []Tag

	// Policy is the text of a resource-based policy for the new table, "" = none.
	// The catalog keeps it beside the definition.
	Policy string

	// Partitions is the number of hash ranges the table starts with; 0 means 1.
	// It is an option of Stator; DynamoDB chooses by itself.
	Partitions int

	// Facets are attributes by whose values filters find items without reading the
	// others; at most partition.MaxFacets, none by default. They cannot be changed
	// later. It is an option of Stator.
	Facets []string
}

// Table states as DescribeTable shows them.
const (
	StatusCreating = "CREATING"
	StatusActive   = "ACTIVE"
	StatusUpdating = "UPDATING"
	StatusDeleting = "DELETING"
)

// Billing modes.
const (
	BillingProvisioned = "PROVISIONED"
	BillingOnDemand    = "PAY_PER_REQUEST"
)

// A Description is what DescribeTable shows.
type Description struct {
	Definition // as stored; Throughput is never nil

	Status  string // one of the Status constants
	ID      string // UUID, new for each creation of a name
	ARN     string
	Created env.Time

	// ItemCount and SizeBytes are exact at the moment of the call. SizeBytes
	// includes the 100 bytes per item that DynamoDB adds for its index.
	ItemCount, SizeBytes int64

	// StreamLabel is that of the latest stream, also when it is disabled by now; ""
	// = there never was one.
	StreamLabel string
	// SSEStatus is the status of encryption with a key of choice.
	SSEStatus string

	BillingModeOnDemandSince env.Time // when it last became on-demand; 0 = never
	TableClassUpdated        env.Time // 0 = never

	ThroughputChanges // of the table

	// Per element of LocalIndexes; empty while the table cannot be used.
	LocalIndexCounts []IndexCounts

	// Per element of GlobalIndexes.
	GlobalIndexStatus []string
	GlobalIndexCounts []IndexCounts // empty while the table cannot be used
	// GlobalIndexBackfilling says that an index is being created and has got as
	// far as that the items of the table are brought to it.
	GlobalIndexBackfilling []bool
	GlobalIndexChanges     []ThroughputChanges
}

// IndexCounts is what an index holds, counted as ItemCount and SizeBytes of its
// table.
type IndexCounts struct{ Items, Bytes int64 }

// An IndexThroughput changes the rates of one global index.
type IndexThroughput struct {
	Name       string
	Throughput *Throughput
	OnDemand   *OnDemandThroughput
	Warm       *Throughput
}

// An UpdateTableRequest changes a table. Nil and "" mean: leave as it is.
type UpdateTableRequest struct {
	Table                 string // name or ARN
	BillingMode           string
	Throughput            *Throughput
	OnDemand              *OnDemandThroughput
	WarmThroughput        *Throughput
	GlobalIndexThroughput []IndexThroughput
	CreateIndexes         []IndexDefinition // global ones; at most one change in all of
	DeleteIndexes         []string          // CreateIndexes and DeleteIndexes is possible
	Attributes            []AttributeDefinition
	DeletionProtection    *bool
	TableClass            string
	Stream                *StreamSpec
	SSE                   *SSESpec

	// Others names parameters that were given and are not built yet.
	Others []string
}
