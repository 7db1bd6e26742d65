package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A field is one member of a structure with all that the emitters ask about it.
type field struct {
	json     string // name on the wire
	name     string // Go name
	shape    string
	kind     string // model type, or "value", "attributes", "item" for attribute values
	required bool
}

// fields returns the members of a structure in the model's (alphabetical) order.
func (m *model) fields(structure string) []field {
	s := m.Shapes[structure]
	var out []field
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		ref := s.Members[name]
		out = append(out, field{
			json:     name,
			name:     strings.ToUpper(name[:1]) + name[1:],
			shape:    ref.Shape,
			kind:     m.kind(ref.Shape),
			required: slices.Contains(s.Required, name),
		})
	}
	return out
}

// kind is the model type, except that attribute values and maps of them have
// kinds of their own: "value"; "attributes" where a request can carry them (so
// that errors in them are kept); "item" where only answers do.
func (m *model) kind(name string) string {
	s := m.Shapes[name]
	switch {
	case name == attributeValue:
		return "value"
	case s.Type == "map" && s.Value.Shape == attributeValue && m.inputs[name]:
		return "attributes"
	case s.Type == "map" && s.Value.Shape == attributeValue:
		return "item"
	}
	return s.Type
}

var scalars = map[string]string{
	"string": "string", "boolean": "bool", "integer": "int32", "long": "int64",
	"double": "float64", "timestamp": "env.Time",
}

// memberType is the Go type of a structure's field.
func (m *model) memberType(name string) string {
	kind := m.kind(name)
	if go_, ok := scalars[kind]; ok {
		return "Optional[" + go_ + "]"
	}
	if kind == "structure" {
		return "*" + name
	}
	return m.elementType(name)
}

// elementType is the Go type of a list element or map value.
func (m *model) elementType(name string) string {
	s := m.Shapes[name]
	switch kind := m.kind(name); kind {
	case "value":
		return "Value"
	case "attributes":
		return "Attributes"
	case "item":
		return "item.Item"
	case "structure":
		return name
	case "list":
		return "[]" + m.elementType(s.Member.Shape)
	case "map":
		return "map[string]" + m.elementType(s.Value.Shape)
	case opaque:
		return "Opaque"
	default:
		return scalars[kind]
	}
}

// present is the Go expression that tells whether a field was given.
func (m *model) present(f field) string {
	switch f.kind {
	case "structure", "list", "map", "item":
		return "v." + f.name + " != nil"
	case opaque:
		return "bool(v." + f.name + ")"
	}
	return "v." + f.name + ".Given"
}

// javaType is the name by which the service's conversion errors call the
// values of a map.
func (m *model) javaType(name string) string {
	s := m.Shapes[name]
	switch s.Type {
	case "structure":
		return "com.amazonaws.dynamodb.v20120810." + name
	case "list":
		return "java.util.List<" + m.javaType(s.Member.Shape) + ">"
	}
	return "java.lang.String"
}

// emitShapes writes the structures.
func emitShapes(m *model, p *printer) {
	p.imports = []string{"github.com/statordb/stator/internal/env", "github.com/statordb/stator/item"}
	used := maps.Clone(m.inputs)
	maps.Copy(used, m.outputs)
	for _, name := range m.structures(used) {
		p.f("// %s is a structure of the service model.\ntype %s struct {\n", name, name)
		for _, f := range m.fields(name) {
			p.f("%s %s\n", f.name, m.memberType(f.shape))
		}
		p.f("}\n\n")
		if m.Shapes[name].Exception {
			emitException(p, name)
		}
	}
}

// emitException makes an error shape a Go error.
func emitException(p *printer, name string) {
	p.f("// Error returns the name and the message.\n")
	p.f("func (v *%s) Error() string { return %q + v.Message.Value }\n\n", name, name+": ")
	p.f("// Code returns the error's name on the wire.\n")
	p.f("func (v *%s) Code() string { return %q }\n\n", name, name)
}

// emitOperations lists every operation.
func emitOperations(m *model, p *printer) {
	all := append(slices.Collect(maps.Keys(m.Operations)), m.overlay.Operations...)
	slices.Sort(all)
	p.f("// Operations names every operation of the service, built or not, in order.\nvar Operations = []string{\n")
	for _, name := range all {
		p.f("%q,\n", name)
	}
	p.f("}\n\n")
	for _, name := range m.structures(m.inputs) {
		if !m.isInput(name) {
			continue
		}
		p.f("var _ Input = (*%s)(nil)\n", name)
	}
	for _, op := range slices.Sorted(maps.Keys(m.Operations)) {
		if o := m.Operations[op].Output; o != nil {
			p.f("var _ Output = (*%s)(nil)\n", o.Shape)
		}
	}
}

// emitInputs gives tests every input by the name of its operation.
func emitInputs(m *model, p *printer) {
	p.f("var inputs = map[string]func() Input{\n")
	for _, op := range slices.Sorted(maps.Keys(m.Operations)) {
		p.f("%q: func() Input { return new(%s) },\n", op, m.Operations[op].Input.Shape)
	}
	p.f("}\n")
}

// isInput reports whether a structure is the whole input of an operation.
func (m *model) isInput(name string) bool {
	for _, op := range m.Operations {
		if op.Input != nil && op.Input.Shape == name {
			return true
		}
	}
	return false
}

// method is a Go method expression.
func method(typ, name string) string { return fmt.Sprintf("(*%s).%s", typ, name) }
