package api

import (
	"errors"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
)

// Attributes is a map of attribute values that a request carries: an item, a
// key, or the values of expressions.
//
// The error of a bad value waits here, because DynamoDB checks values only
// after the constraints of the whole request, and in an order that depends on
// the operation.
type Attributes struct {
	Item  item.Item        // nil if Err is set
	Err   *item.ValueError // the first bad value
	Given bool

	// JSON is the text that Item was read from; it tells spellings of a number
	// apart. It lies in the request's body and is valid as long as that is. Nil
	// if Err is set.
	JSON []byte
}

// Attrs returns it as an answer's member; a nil item is absent.
func Attrs(it item.Item) Attributes { return Attributes{Item: it, Given: it != nil} }

// Value is one attribute value that a request carries.
type Value struct {
	Value item.Value
	Err   *item.ValueError // first error within the value
	Given bool
}

var attributesTarget = jsonscan.Target{Shape: jsonscan.ShapeMap, Type: "AttributeValue"}

func (v *Attributes) decode(d *Decoder, at place) error {
	if err := d.expect(attributesTarget, jsonscan.Object, at); err != nil {
		return err
	}
	from := d.s.Pos()
	it, err := item.ParseItem(&d.s, d.free())
	var bad *item.ValueError
	switch {
	case err == nil:
		d.take(len(it))
		*v = Attributes{Item: it, Given: true, JSON: d.s.Span(from)}
		return nil
	case errors.As(err, &bad):
		*v = Attributes{Err: bad, Given: true}
		return nil
	}
	return err
}

func (v *Value) decode(d *Decoder, at place) error {
	if d.skipNull() {
		*v = Value{}
		return nil
	}
	parse := item.ParseMember
	if at == inCollection {
		parse = item.ParseValue
	}
	val, err := parse(&d.s, d.free())
	var bad *item.ValueError
	switch {
	case err == nil:
		d.take(len(val))
		*v = Value{Value: val, Given: true}
		return nil
	case errors.As(err, &bad):
		*v = Value{Err: bad, Given: true}
		return nil
	}
	return err
}

// AppendJSON appends the attributes as a JSON object.
func (v *Attributes) AppendJSON(b []byte) []byte { return v.Item.AppendJSON(b) }

// AppendJSON appends the value as a JSON object.
func (v *Value) AppendJSON(b []byte) []byte { return v.Value.AppendJSON(b) }
