package table

import (
	"fmt"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// MaxTransactActions is how many actions a transaction has at most.
const MaxTransactActions = 100

// ActionKind is what an action of a transaction does to its item.
type ActionKind byte

const (
	TransactPut    ActionKind = 1
	TransactDelete ActionKind = 2
	TransactUpdate ActionKind = 3
	TransactCheck  ActionKind = 4 // ConditionCheck: only judges the condition
)

// A TransactAction is one action of a TransactWriteRequest. What holds for the fields of
// a PutRequest, DeleteRequest or UpdateRequest holds for its own.
type TransactAction struct {
	Kind            ActionKind
	Table           string
	Item            item.Item       // TransactPut: the item; else the key
	Condition       *expr.Condition // nil = none; TransactCheck must have one
	Update          *expr.Update    // TransactUpdate only; nil = only makes sure that the item exists
	ReturnOnFailure bool            // the reason of a failed condition has the item
	// Invalid, if not "", says why no table can have such an item; then Item may be nil.
	// It is the reason of a cancelled transaction, as if the item did not fit its table.
	Invalid string
}

// A TransactWriteRequest changes up to MaxTransactActions items, all of them or none.
type TransactWriteRequest struct {
	Actions []TransactAction // one per item
	// Token names the request for ten minutes: whoever repeats it gets the answer of
	// the first time. "" = none. The account is part of the name.
	Token string
	// Parameters is a hash of all that the request says, by which a repetition is told
	// from another request with the same Token.
	Parameters [32]byte
}

// A TransactWriteResult answers a TransactWriteRequest.
type TransactWriteResult struct {
	// Repeated says that an earlier request with the same token has done it.
	Repeated bool
	Actions  []TransactActionResult // in the order of the request
}

// A TransactActionResult says what an action used. Capacity is what a transaction costs,
// twice that of the single write; if the request was repeated, what reading the items costs.
type TransactActionResult struct {
	Capacity        Capacity
	Indexes         []IndexCapacity
	CollectionKey   item.Item // as in a WriteResult
	CollectionBytes int64
}

// A TransactGetRequest reads up to MaxTransactActions items as they are at one moment.
type TransactGetRequest struct{ Items []TransactGetItem }

// A TransactGetItem is one item of a TransactGetRequest.
type TransactGetItem struct {
	Table      string
	Key        item.Item
	Projection *expr.Projection // nil = whole item
	Invalid    string           // as in a TransactAction
}

// A TransactGetResult has one element per item of the request, in the same order.
type TransactGetResult struct {
	Items    []item.Item // nil = missing; without attributes if none of the projection's are there
	Capacity []Capacity
}

// ReasonCode says why one action had a transaction cancelled.
type ReasonCode byte

const (
	ReasonNone                ReasonCode = iota // this action could have been done
	ReasonConditionFailed                       // the condition was false
	ReasonConflict                              // another request is at the item
	ReasonValidation                            // it does not fit the schema or the item
	ReasonCollectionFull                        // the item collection would be too large
	ReasonProvisionedExceeded                   // the table's throughput is used up
	ReasonThrottling                            // the partition's throughput is used up
	ReasonDuplicateItem                         // INSERT of an item that exists
	endReasonCodes
)

var reasonCodes = [endReasonCodes]string{
	"None", "ConditionalCheckFailed", "TransactionConflict", "ValidationError", "ItemCollectionSizeLimitExceeded",
	"ProvisionedThroughputExceeded", "ThrottlingError", "DuplicateItem",
}

// String returns the code as clients know it.
func (c ReasonCode) String() string {
	if c < endReasonCodes {
		return reasonCodes[c]
	}
	return fmt.Sprintf("reason(%d)", byte(c))
}

// A Reason is why one action was refused, or ReasonNone.
type Reason struct {
	Code    ReasonCode
	Message string    // for the client; "" with ReasonNone
	Item    item.Item // that a condition met, if the action asked for it and it exists
}

// A CancelledError says that a transaction had no effect, and why: there is one
// reason for each action, in the order of the request.
type CancelledError struct{ Reasons []Reason }

func (e *CancelledError) Error() string {
	codes := make([]string, len(e.Reasons))
	for i := range e.Reasons {
		codes[i] = e.Reasons[i].Code.String()
	}
	return "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
}

// A ConflictError refuses a single write while a transaction is at its item.
type ConflictError struct{}

func (e *ConflictError) Error() string { return conflictMessage }

const conflictMessage = "Transaction is ongoing for the item"

// An InProgressError refuses a request whose token belongs to one that is still being
// carried out.
type InProgressError struct{}

func (e *InProgressError) Error() string {
	return "Transaction from previous request is still in progress"
}

// A ParameterMismatchError refuses a request whose token was used with other parameters.
type ParameterMismatchError struct{}

func (e *ParameterMismatchError) Error() string {
	return "The client request token was used with other parameters"
}

// Life returns the number of this life of the node, which is the Node of the ids of the transactions
// that it coordinates.
func (s *Service) Life() uint64 { return s.life }
