package expr

// A fault is a class of errors in an expression that is well-formed. An
// expression may have several; DynamoDB reports one of the class it looks for
// first, and within a class the one that stands first in the text.
type fault byte

const (
	noFault            fault = iota
	tooManyOperators         // more than 300
	badPath                  // list index out of range, path too deep
	redundantParens          // ((x))
	unknownFunction          // neither a condition's nor an update's
	misplacedFunction        // a known function where it may not stand
	reservedWord             // as an attribute name
	sectionTwice             // SET ... SET ...
	undefinedName            // "#name" not in ExpressionAttributeNames
	undefinedValue           // ":value" not in ExpressionAttributeValues
	overlappingPaths         // a and a.b
	conflictingPaths         // a.b and a[0]
	wrongActionOperand       // ADD or DELETE with a constant they do not take
	wrongOperand             // number or type of operands
	faultClasses
)

// A priority says in which order the classes are looked for: lower first.
// Classes of equal rank are reported in the order of the text.
type priority [faultClasses]byte

// conditionPriority: what can be seen without the request's parameters comes
// first. Then each condition is checked completely before the next one.
var conditionPriority = priority{
	tooManyOperators:  1,
	badPath:           2,
	redundantParens:   3,
	unknownFunction:   4,
	misplacedFunction: 5,
	reservedWord:      6,
	undefinedName:     7,
	undefinedValue:    7,
	wrongOperand:      7,
}

var updatePriority = priority{
	tooManyOperators:   1,
	badPath:            2,
	redundantParens:    3,
	reservedWord:       4,
	unknownFunction:    5,
	sectionTwice:       6,
	undefinedName:      7,
	undefinedValue:     8,
	overlappingPaths:   9,
	conflictingPaths:   10,
	wrongActionOperand: 11,
	misplacedFunction:  12,
	wrongOperand:       12,
}

var projectionPriority = priority{
	badPath:          1,
	reservedWord:     2,
	undefinedName:    3,
	overlappingPaths: 4,
	conflictingPaths: 5,
}

var priorities = [...]*priority{
	ConditionExpression:    &conditionPriority,
	FilterExpression:       &conditionPriority,
	KeyConditionExpression: &conditionPriority,
	ProjectionExpression:   &projectionPriority,
	UpdateExpression:       &updatePriority,
}
