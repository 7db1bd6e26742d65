package jsonscan

import "strings"

// A ConversionError means that a value is valid JSON but not of the kind its
// place requires. It becomes a SerializationException with this Message; an
// empty Message means an answer without one.
type ConversionError struct{ Message string }

func (e *ConversionError) Error() string {
	if e.Message == "" {
		return "SerializationException"
	}
	return e.Message
}

// A Shape is what a place in the service model accepts.
type Shape byte

const (
	ShapeString Shape = iota
	ShapeBoolean
	ShapeInteger
	ShapeLong
	ShapeDouble
	ShapeTimestamp
	ShapeBlob
	ShapeList
	ShapeMap
	ShapeStructure
)

// A Target is the place a value is meant for, in the words that DynamoDB's
// decoder uses for it. The zero Target is a string member.
type Target struct {
	Shape Shape

	// Type names a structure ("AttributeValue") or the values of a map
	// ("AttributeValue", "java.lang.String"). A name without a dot belongs to
	// the service model and is qualified in messages.
	Type string

	// Nested marks a value that stands inside a list or map rather than being
	// a member of a structure; the texts differ.
	Nested bool
}

const (
	unexpectedField  = "Unexpected field type"
	unexpectedValue  = "Unexpected value type in payload"
	unexpectedStart  = "Start of structure or map found where not expected"
	unexpectedToken  = "Unexpected token received from parser"
	unexpectedBase64 = "only base-64-encoded strings are convertible to bytes"

	// The service shows this inside of itself for a scalar in the place of a
	// list or map that is itself an element.
	unexpectedGeneric = "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class " +
		"(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader 'bootstrap')"
)

// Mismatch returns the error for a value of kind got at t. It is meant for
// kinds that t does not accept; for a String at a Boolean it is the error for
// a text that is no Boolean.
func (t Target) Mismatch(got Kind) *ConversionError {
	return &ConversionError{Message: t.mismatch(got)}
}

func (t Target) mismatch(got Kind) string {
	switch {
	case got == Array:
		return "Unrecognized collection type " + t.collection()
	case got == Object:
		return unexpectedStart
	}
	switch t.Shape {
	case ShapeList, ShapeMap:
		if t.Nested {
			return unexpectedGeneric
		}
		return unexpectedField
	case ShapeStructure:
		if t.Nested {
			return unexpectedValue
		}
		return unexpectedField
	case ShapeBlob:
		return unexpectedBase64
	case ShapeBoolean:
		if got == String {
			return unexpectedToken
		}
	}
	return tokenName(got) + " cannot be converted to " + t.scalar()
}

// collection is the Java type that an array was not recognised as.
func (t Target) collection() string {
	switch t.Shape {
	case ShapeMap:
		return "java.util.Map<java.lang.String, " + qualified(t.Type) + ">"
	case ShapeStructure:
		return "class " + qualified(t.Type)
	case ShapeBlob:
		return "class java.nio.ByteBuffer"
	case ShapeTimestamp:
		return "class java.util.Date"
	}
	return "class java.lang." + t.scalar()
}

func (t Target) scalar() string {
	switch t.Shape {
	case ShapeBoolean:
		return "Boolean"
	case ShapeInteger:
		return "Integer"
	case ShapeLong:
		return "Long"
	case ShapeDouble:
		return "Double"
	case ShapeTimestamp:
		return "Date"
	}
	return "String"
}

func qualified(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return "com.amazonaws.dynamodb.v20120810." + name
}

func tokenName(k Kind) string {
	switch k {
	case True:
		return "TRUE_VALUE"
	case False:
		return "FALSE_VALUE"
	case Integer:
		return "NUMBER_VALUE"
	case Decimal:
		return "DECIMAL_VALUE"
	}
	return "STRING_VALUE"
}
