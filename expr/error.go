package expr

import "fmt"

// An Error is a request's own fault: an expression or parameter that DynamoDB
// refuses with a ValidationException.
type Error struct {
	Message string // DynamoDB's text in full, as the client sees it
}

func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) *Error {
	return &Error{fmt.Sprintf(format, args...)}
}
