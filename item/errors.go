package item

import "errors"

// ErrMalformed means that bytes are not the canonical form of anything.
var ErrMalformed = errors.New("item: malformed")

// A ValueError is the reason why DynamoDB refuses a value, in its words. It
// becomes a ValidationException.
type ValueError struct {
	Message string

	// Kind groups the messages that some parameters prefix and others do not.
	Kind ValueErrorKind

	// Attr is the attribute of the parsed item in which the value stands, at
	// any depth. It is empty for values outside of an item.
	Attr string
}

func (e *ValueError) Error() string { return e.Message }

// A ValueErrorKind says what a ValueError is about.
type ValueErrorKind byte

const (
	ErrorForm   ValueErrorKind = iota // no tag, several tags, NULL:false
	ErrorNumber                       // not a number, or out of range
	ErrorSet                          // empty set, member null, duplicates
	ErrorName                         // an attribute name is empty or too long
	ErrorDepth                        // nested too deep
)

const invalidParameter = "One or more parameter values were invalid: "

// Messages that other rooms produce as well.
const (
	MsgOverflow = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	MsgItemSize = "Item size has exceeded the maximum allowed size"
	MsgDepth    = "Nesting Levels have exceeded supported limits" // for the result of an update
)

func formError(message string) *ValueError {
	return &ValueError{Message: message, Kind: ErrorForm}
}

func setError(message string) *ValueError {
	return &ValueError{Message: message, Kind: ErrorSet}
}

func numberError(message string) *ValueError {
	return &ValueError{Message: message, Kind: ErrorNumber}
}

func nameError(message string) *ValueError {
	return &ValueError{Message: invalidParameter + message, Kind: ErrorName}
}

func depthError() *ValueError {
	return &ValueError{Message: MsgDepth + ": Attributes in the item have nested levels beyond supported limit", Kind: ErrorDepth}
}
