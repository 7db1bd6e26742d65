package main

import "fmt"

// emitDecode writes, for every structure that a request can carry, the method
// that reads it from JSON.
func emitDecode(m *model, p *printer) {
	for _, name := range m.structures(m.inputs) {
		if m.isInput(name) {
			p.f("// Decode reads a whole request.\n")
			p.f("func (v *%s) Decode(d *Decoder) error { return v.decode(d, inMember) }\n\n", name)
		}
		p.f("func (v *%s) decode(d *Decoder, at place) error {\n", name)
		p.f("if err := d.structure(%q, at); err != nil {\nreturn err\n}\n", name)
		p.f("for d.nextMember() {\nvar err error\nswitch string(d.name) {\n")
		for _, f := range m.fields(name) {
			p.f("case %q:\nerr = %s\n", f.json, m.decodeMember(f))
		}
		p.f("default:\nd.skip()\n}\nif err != nil {\nreturn err\n}\n}\nreturn nil\n}\n\n")
	}
}

// decodeMember is the Go expression that reads one field.
func (m *model) decodeMember(f field) string {
	at := "&v." + f.name
	switch f.kind {
	case "structure":
		return fmt.Sprintf("decodePointer(d, %s, %s)", at, method(f.shape, "decode"))
	case "value", "attributes":
		return fmt.Sprintf("v.%s.decode(d, inMember)", f.name)
	case "string":
		if len(m.Shapes[f.shape].Enum) > 0 {
			return fmt.Sprintf("d.enum(%s, &enum%s)", at, f.shape)
		}
		return fmt.Sprintf("d.text(%s)", at)
	case "boolean", "integer", "long", "double", "timestamp":
		return fmt.Sprintf("d.%s(%s)", f.kind, at)
	case opaque:
		return fmt.Sprintf("d.opaque(%s)", at)
	}
	return m.decodeCollection(f.shape, at, "inMember")
}

// decodeCollection reads a list or map into the variable at points to.
func (m *model) decodeCollection(name, at, where string) string {
	s := m.Shapes[name]
	if s.Type == "list" {
		return fmt.Sprintf("decodeList(d, %s, %s, %s)", at, where, m.decodeElement(s.Member.Shape))
	}
	return fmt.Sprintf("decodeMap(d, %s, %s, %q, %s)", at, where, m.javaType(s.Value.Shape), m.decodeElement(s.Value.Shape))
}

// decodeElement is a function that reads one list element or map value.
func (m *model) decodeElement(name string) string {
	switch m.kind(name) {
	case "structure":
		return method(name, "decode")
	case "value":
		return "(*Value).decode"
	case "attributes":
		return "(*Attributes).decode"
	case "string":
		return "decodeString"
	case "list", "map":
		return fmt.Sprintf("func(v *%s, d *Decoder, at place) error { return %s }",
			m.elementType(name), m.decodeCollection(name, "v", "at"))
	}
	panic("no element decoder for " + name)
}
