package expr

// A Kind is one of the five kinds of expression.
type Kind byte

const (
	ConditionExpression Kind = iota
	FilterExpression
	KeyConditionExpression
	ProjectionExpression
	UpdateExpression
)

var kindNames = [...]string{
	ConditionExpression:    "ConditionExpression",
	FilterExpression:       "FilterExpression",
	KeyConditionExpression: "KeyConditionExpression",
	ProjectionExpression:   "ProjectionExpression",
	UpdateExpression:       "UpdateExpression",
}

// String returns the name of the request parameter, as messages print it.
func (k Kind) String() string { return kindNames[k] }

// invalid reports that an expression of this kind cannot be used.
func (k Kind) invalid(detail string) *Error {
	return &Error{"Invalid " + k.String() + ": " + detail}
}
