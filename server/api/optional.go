package api

// An Optional is a scalar member that may be absent.
type Optional[T any] struct {
	Value T // the zero value when absent
	Given bool
}

// Some returns a member that is given as v.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Given: true} }

// Or returns the value, or def when the member is absent.
func (o Optional[T]) Or(def T) T {
	if o.Given {
		return o.Value
	}
	return def
}

// Opaque is a member of which only the presence is known: it is newer than the
// model, and noticed so that it can be refused rather than ignored.
type Opaque bool

// An Input is the request of one operation.
type Input interface {
	// Decode reads the request. Its errors are *jsonscan.ConversionError;
	// errors within attribute values are kept beside the values instead.
	Decode(d *Decoder) error
	// Validate adds what breaks the model's constraints to c.
	Validate(c *Violations)
}

// An Output is the answer of one operation.
type Output interface {
	// AppendJSON appends the answer as one JSON object.
	AppendJSON(b []byte) []byte
}

// An Exception is a modelled error.
type Exception interface {
	error
	Output
	Code() string // its name on the wire, without namespace
	appendMembers(b []byte, start int) []byte
}

// AppendException appends e with its type in the form clients look for:
//
//	{"__type":"<namespace>#<code>","message":"..."}
func AppendException(b []byte, namespace string, e Exception) []byte {
	b = append(b, `{"__type":"`...)
	b = append(b, namespace...)
	b = append(b, '#')
	b = append(b, e.Code()...)
	b = append(b, '"')
	b = e.appendMembers(b, 0) // never the first member
	return append(b, '}')
}
