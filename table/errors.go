package table

import "github.com/statordb/stator/item"

// A ValidationError is a request that cannot be carried out as it stands.
// Message is the complete text for the client.
type ValidationError struct{ Message string }

func (e *ValidationError) Error() string { return e.Message }

// A NotFoundError names a table that does not exist, or that the data plane
// may not use because it is being created or deleted.
type NotFoundError struct {
	Table   string
	Control bool // asked by the control plane, whose text names the table
}

func (e *NotFoundError) Error() string {
	if e.Control {
		return "Requested resource not found: Table: " + e.Table + " not found"
	}
	return "Requested resource not found"
}

// An InUseError refuses a change of a table that exists or is changing.
type InUseError struct {
	Message string
	Status  string // of a table in a transition
}

func (e *InUseError) Error() string { return e.Message }

// A LimitError refuses a change that would exceed a limit of the service.
type LimitError struct{ Message string }

func (e *LimitError) Error() string { return e.Message }

// A PolicyNotFoundError says that a table has no policy, or not that revision of it.
type PolicyNotFoundError struct{ Table string }

func (e *PolicyNotFoundError) Error() string {
	return "Resource-based policy not found for the provided ResourceArn: " + e.Table
}

// A ConditionFailedError reports that a write's condition was false. Item is
// the item it was evaluated against, if the request asked for it and it exists.
type ConditionFailedError struct{ Item item.Item }

func (e *ConditionFailedError) Error() string { return "The conditional request failed" }

// A CollectionFullError refuses a write that would make an item collection of a
// table with local indexes larger than 10 GB.
type CollectionFullError struct{}

func (e *CollectionFullError) Error() string {
	return "Collection size exceeded."
}

// A NotBuiltError refuses something valid that this version cannot do.
type NotBuiltError struct{ What string }

func (e *NotBuiltError) Error() string { return e.What + " is not built yet" }
