package api

import (
	"math"
	"sync"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/jsonscan"
)

// maxElements bounds the lists and maps of a request, all of them together.
// The largest meaningful request has two orders of magnitude fewer elements;
// without a bound, 16 MiB of "{}," would become hundreds of megabytes of
// structures.
const maxElements = 100_000

var errTooManyElements = &jsonscan.ConversionError{Message: "Too many elements in a collection"}

// A Decoder reads one request from JSON.
//
// Attribute values are collected in one buffer of the request's size, so that
// a request costs one allocation for all of them. The buffer belongs to the
// decoded request from then on.
type Decoder struct {
	s     jsonscan.Scanner
	name  []byte // of the member at hand; valid until the next one
	arena []byte // binary attribute values so far; appended to, never moved

	elements int // of lists and maps so far; of attribute values those do not count
}

// readers are what Read works with. They are pooled because they are passed
// through an interface, so that they would have to be allocated.
var readers = sync.Pool{New: func() any { return new(reader) }}

type reader struct {
	d Decoder
	c Violations
}

// Read decodes body, which jsonscan.Valid has accepted, into the zero value of
// a request, and checks the constraints of the model. Its errors are
// *jsonscan.ConversionError and *ConstraintError. The request does not alias
// body, but for Attributes.JSON.
func Read(body []byte, in Input) error {
	r := readers.Get().(*reader)
	defer r.release()
	r.d.s = jsonscan.New(body)
	if err := in.Decode(&r.d); err != nil {
		return err
	}
	in.Validate(&r.c)
	return r.c.err()
}

// release keeps nothing of the request alive.
func (r *reader) release() {
	*r = reader{}
	readers.Put(r)
}

// place says what a value is part of; the texts of errors depend on it.
type place bool

const (
	inMember     place = false // a member of a structure
	inCollection place = true  // an element of a list or a value of a map
)

// free returns the unused rest of the arena. Its capacity nearly always
// suffices, since the binary form is shorter than the JSON it comes from.
func (d *Decoder) free() []byte {
	if d.arena == nil {
		d.arena = make([]byte, 0, d.s.Rest())
	}
	return d.arena[len(d.arena):]
}

// take marks n bytes of the arena as used. A value that outgrew it lives in
// memory of its own, and the mark is moved all the same: harmless.
func (d *Decoder) take(n int) {
	d.arena = d.arena[:min(len(d.arena)+n, cap(d.arena))]
}

// expect checks the kind of the next value.
func (d *Decoder) expect(t jsonscan.Target, want jsonscan.Kind, at place) error {
	if got := d.s.Peek(); got != want {
		t.Nested = bool(at)
		return t.Mismatch(got)
	}
	return nil
}

// structure enters the object of a structure.
func (d *Decoder) structure(name string, at place) error {
	if got := d.s.Peek(); got != jsonscan.Object {
		return jsonscan.Target{Shape: jsonscan.ShapeStructure, Type: name, Nested: bool(at)}.Mismatch(got)
	}
	d.s.EnterObject()
	return nil
}

// nextMember moves to the next member that is not null; null means absent.
func (d *Decoder) nextMember() bool {
	for {
		name, ok := d.s.NextMember()
		if !ok {
			return false
		}
		d.name = name
		if !d.skipNull() {
			return true
		}
	}
}

func (d *Decoder) skip() { d.s.Skip() }

func (d *Decoder) skipNull() bool {
	if d.s.Peek() != jsonscan.Null {
		return false
	}
	d.s.Skip()
	return true
}

func (d *Decoder) opaque(v *Opaque) error {
	d.s.Skip()
	*v = true
	return nil
}

func (d *Decoder) text(v *Optional[string]) error {
	b, err := d.s.Text()
	*v = Some(string(b))
	return err
}

// enum is text without an allocation for the values of the set.
func (d *Decoder) enum(v *Optional[string], e *enum) error {
	b, err := d.s.Text()
	for _, known := range e.values {
		if string(b) == known {
			*v = Some(known)
			return err
		}
	}
	*v = Some(string(b))
	return err
}

func (d *Decoder) boolean(v *Optional[bool]) error {
	b, err := d.s.Bool()
	*v = Some(b)
	return err
}

func (d *Decoder) integer(v *Optional[int32]) error {
	n, err := d.s.Int(jsonscan.ShapeInteger)
	*v = Some(int32(max(math.MinInt32, min(n, math.MaxInt32))))
	return err
}

func (d *Decoder) long(v *Optional[int64]) error {
	n, err := d.s.Int(jsonscan.ShapeLong)
	*v = Some(n)
	return err
}

func (d *Decoder) double(v *Optional[float64]) error {
	f, err := d.s.Float(jsonscan.ShapeDouble)
	*v = Some(f)
	return err
}

// timestamp reads seconds since the Unix epoch. Instants that do not fit
// become the nearest that does.
func (d *Decoder) timestamp(v *Optional[env.Time]) error {
	f, err := d.s.Float(jsonscan.ShapeTimestamp)
	ns := max(math.MinInt64, min(f*1e9, math.MaxInt64-1024))
	*v = Some(env.Time(ns))
	return err
}

// element counts one more element of a list or map.
func (d *Decoder) element() error {
	if d.elements++; d.elements > maxElements {
		return errTooManyElements
	}
	return nil
}

func decodeString(v *string, d *Decoder, _ place) error {
	if d.skipNull() {
		return nil
	}
	b, err := d.s.Text()
	*v = string(b)
	return err
}

// decodePointer reads a structure that is a member.
func decodePointer[T any](d *Decoder, v **T, read func(*T, *Decoder, place) error) error {
	*v = new(T)
	return read(*v, d, inMember)
}

// decodeList reads a list. Afterwards it is not nil, even when empty.
func decodeList[T any](d *Decoder, v *[]T, at place, read func(*T, *Decoder, place) error) error {
	if err := d.expect(jsonscan.Target{Shape: jsonscan.ShapeList}, jsonscan.Array, at); err != nil {
		return err
	}
	list := []T{}
	d.s.EnterArray()
	for d.s.NextElement() {
		if err := d.element(); err != nil {
			return err
		}
		list = append(list, *new(T))
		if d.skipNull() {
			continue
		}
		if err := read(&list[len(list)-1], d, inCollection); err != nil {
			return err
		}
	}
	*v = list
	return nil
}

// decodeMap reads a map whose values the service calls valueType. A name that
// occurs twice has its last value; a null value is absent.
func decodeMap[T any](d *Decoder, v *map[string]T, at place, valueType string, read func(*T, *Decoder, place) error) error {
	t := jsonscan.Target{Shape: jsonscan.ShapeMap, Type: valueType}
	if err := d.expect(t, jsonscan.Object, at); err != nil {
		return err
	}
	values := make(map[string]T)
	d.s.EnterObject()
	for name, ok := d.s.NextMember(); ok; name, ok = d.s.NextMember() {
		if d.skipNull() {
			continue
		}
		if err := d.element(); err != nil {
			return err
		}
		var value T
		key := string(name)
		if err := read(&value, d, inCollection); err != nil {
			return err
		}
		values[key] = value
	}
	*v = values
	return nil
}
