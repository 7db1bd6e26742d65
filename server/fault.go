package server

import (
	"errors"
	"net/http"
	"strings"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/server/api"
)

// Namespaces of error types, in front of the '#'.
const (
	coralService  = "com.amazon.coral.service"
	coralValidate = "com.amazon.coral.validate"
	dynamodb      = "com.amazonaws.dynamodb.v20120810"
)

// A fault is an error answer that is not one of the modelled exceptions: it
// comes from the service's framework.
type fault struct {
	namespace, code string
	key             string // name of the message's member; "" means no message
	message         string
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func (f *fault) appendJSON(b []byte) []byte {
	b = append(b, `{"__type":"`...)
	b = append(b, f.namespace...)
	b = append(b, '#')
	b = append(b, f.code...)
	b = append(b, '"')
	if f.key != "" {
		b = append(b, `,"`...)
		b = append(b, f.key...)
		b = append(b, `":`...)
		b = jsonscan.AppendString(b, []byte(f.message))
	}
	return append(b, '}')
}

// Faults without a message.
var (
	errSerialization    = &fault{namespace: coralService, code: "SerializationException"}
	errUnknownOperation = &fault{namespace: coralService, code: "UnknownOperationException"}
)

// serializationFault has its message under a capital letter, as the service does.
func serializationFault(message string) *fault {
	if message == "" {
		return errSerialization
	}
	return &fault{coralService, "SerializationException", "Message", message}
}

// maxMessage bounds the text of an error that quotes the request, in bytes: 16
// MiB that are no number are not sent back. Lists of violations, which have a
// bound of their own, fit.
const maxMessage = 1 << 20

func validationFault(message string) *fault {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	return &fault{coralValidate, "ValidationException", "message", message}
}

// authFault is a failure of authentication: code is one of
// MissingAuthenticationToken, IncompleteSignature, InvalidSignature.
func authFault(code, message string) *fault {
	return &fault{coralService, code + "Exception", "message", message}
}

// notBuiltFault refuses something that DynamoDB can do and this version cannot.
// The type is the one with which the service refuses operations that an
// endpoint does not offer: SDKs surface it without retrying, and tools that
// probe for optional operations know it.
func notBuiltFault(what string) *fault {
	return &fault{coralService, "UnknownOperationException", "message", what + " is not built yet"}
}

func internalFault(message string) *api.InternalServerError {
	return &api.InternalServerError{Message: api.Some(message)}
}

// errUnavailable is answered with an empty 503, which clients try again.
var errUnavailable = errors.New("server: not available")

// appendError appends the body for err and returns its status.
func appendError(b []byte, err error) ([]byte, int) {
	switch e := err.(type) {
	case *api.InternalServerError:
		return api.AppendException(b, dynamodb, e), http.StatusInternalServerError
	case api.Exception:
		return api.AppendException(b, dynamodb, e), http.StatusBadRequest
	case *fault:
		return e.appendJSON(b), http.StatusBadRequest
	case *foreignError:
		return append(b, e.body...), e.status
	}
	if err == errUnavailable {
		return b, http.StatusServiceUnavailable
	}
	return api.AppendException(b, dynamodb, internalFault("The request could not be processed")), http.StatusInternalServerError
}
