package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// translated turns the errors of the rooms below into DynamoDB's. What has no
// place there is an internal error: logged with the request's id, and told in
// general words.
func (e *edge) translated(x *exchange, err error) error {
	var missing *table.NotFoundError
	if errors.As(err, &missing) {
		return e.missing(e.accountOf(x.r), x.target, missing)
	}
	if answer := translate(err); answer != nil {
		return answer
	}
	e.log.Error("request failed", "request", x.id, "operation", x.target, "error", err)
	return internalFault(internalMessage(err, x.id))
}

// missing is the answer for a table that there is none of: tables of other accounts,
// named by ARN, are denied.
func (e *edge) missing(account, target string, err *table.NotFoundError) error {
	if api.IsARN(err.Table) {
		if other := accountIn(err.Table); other != "" && other != account {
			return deniedFault(account, target, err.Table)
		}
	}
	return translate(err)
}

// accountOf returns the account of whoever signed a request.
func (e *edge) accountOf(r *http.Request) string {
	who, err := signedBy(r)
	if err != nil || e.callers.enter == nil {
		return e.callers.account
	}
	return accountOf(who.key)
}

// accountIn returns the account in the ARN of a table, "" if it has none.
func accountIn(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "dynamodb" {
		return ""
	}
	return parts[4]
}

// translate returns the answer for an error that is the client's, or nil.
func translate(err error) error {
	switch e := err.(type) {
	case *fault, *foreignError, api.Exception:
		return e
	case *jsonscan.ConversionError:
		return serializationFault(e.Message)
	case *api.ConstraintError:
		return validationFault(e.Message)
	case *item.ValueError:
		return validationFault(e.Message)
	}
	return translateTable(err)
}

func translateTable(err error) error {
	var (
		refused *expr.Error
		invalid *table.ValidationError
		missing *table.NotFoundError
		inUse   *table.InUseError
		limit   *table.LimitError
		failed  *table.ConditionFailedError
		full    *table.CollectionFullError
		policy  *table.PolicyNotFoundError
		absent  *table.NotBuiltError
	)
	if answer := translateTransaction(err); answer != nil {
		return answer
	}
	switch {
	case errors.As(err, &refused):
		return validationFault(refused.Message)
	case errors.As(err, &invalid):
		return validationFault(invalid.Message)
	case errors.As(err, &missing):
		return &api.ResourceNotFoundException{Message: api.Some(missing.Error())}
	case errors.As(err, &inUse):
		return &api.ResourceInUseException{Message: api.Some(inUse.Message)}
	case errors.As(err, &limit):
		return &api.LimitExceededException{Message: api.Some(limit.Message)}
	case errors.As(err, &failed):
		return &api.ConditionalCheckFailedException{Message: api.Some(failed.Error()), Item: failed.Item}
	case errors.As(err, &full):
		return &api.ItemCollectionSizeLimitExceededException{Message: api.Some(full.Error())}
	case errors.As(err, &policy):
		return &api.PolicyNotFoundException{Message: api.Some(policy.Error())}
	case errors.As(err, &absent):
		return notBuiltFault(absent.What)
	case errors.Is(err, table.ErrClosed), errors.Is(err, errUnavailable), errors.Is(err, table.ErrUnavailable):
		return errUnavailable
	}
	return nil
}

// translateTransaction is translateTable for what transactions are told, and others
// because of them.
func translateTransaction(err error) error {
	var (
		canceled *table.CancelledError
		conflict *table.ConflictError
		running  *table.InProgressError
		other    *table.ParameterMismatchError
	)
	switch {
	case errors.As(err, &canceled):
		return canceledFault(canceled)
	case errors.As(err, &conflict):
		return &api.TransactionConflictException{Message: api.Some(conflict.Error())}
	case errors.As(err, &running):
		return &api.TransactionInProgressException{Message: api.Some(running.Error())}
	case errors.As(err, &other):
		return &api.IdempotentParameterMismatchException{Message: api.Some(other.Error())}
	}
	return nil
}

// internalMessage says what an operator can act on.
func internalMessage(err error, id string) string {
	var damaged *corrupt.Error
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		return "The disk is full; writes are refused until there is space again"
	case errors.As(err, &damaged):
		return "Stored data is damaged: " + damaged.Error()
	case errors.Is(err, replication.ErrFailed):
		return "The log could not be written; the database takes no more writes until it is opened again"
	}
	return "Internal failure; see the log for request " + id
}
