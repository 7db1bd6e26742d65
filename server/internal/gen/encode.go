package main

import "fmt"

// emitEncode writes, for every structure that an answer can carry, the method
// that appends it as JSON.
func emitEncode(m *model, p *printer) {
	p.imports = []string{"strconv", "github.com/statordb/stator/item"}
	for _, name := range m.structures(m.outputs) {
		p.f("// AppendJSON appends v as a JSON object.\n")
		p.f("func (v *%s) AppendJSON(b []byte) []byte {\n", name)
		p.f("b = append(b, '{')\nb = v.appendMembers(b, len(b))\nreturn append(b, '}')\n}\n\n")
		p.f("// appendMembers appends the given members; the first one begins at start.\n")
		p.f("func (v *%s) appendMembers(b []byte, start int) []byte {\n", name)
		for _, f := range m.fields(name) {
			p.f("if %s {\nb = appendName(b, start, %q)\n", m.present(f), fmt.Sprintf("%q:", f.json))
			p.f("b = %s\n}\n", m.encodeMember(f))
		}
		p.f("return b\n}\n\n")
	}
}

// encodeMember appends one given field.
func (m *model) encodeMember(f field) string {
	value := "v." + f.name
	switch f.kind {
	case "string":
		return fmt.Sprintf("appendString(b, %s.Value)", value)
	case "boolean":
		return fmt.Sprintf("strconv.AppendBool(b, %s.Value)", value)
	case "integer", "long":
		return fmt.Sprintf("strconv.AppendInt(b, int64(%s.Value), 10)", value)
	case "double":
		return fmt.Sprintf("appendDouble(b, %s.Value)", value)
	case "timestamp":
		return fmt.Sprintf("appendTime(b, %s.Value)", value)
	case "structure":
		return value + ".AppendJSON(b)"
	}
	return m.encodeCollection(f.shape, value)
}

// encodeCollection appends a list, map or attribute value.
func (m *model) encodeCollection(name, value string) string {
	s := m.Shapes[name]
	switch m.kind(name) {
	case "list":
		return fmt.Sprintf("appendList(b, %s, %s)", value, m.encodeElement(s.Member.Shape))
	case "map":
		return fmt.Sprintf("appendMap(b, %s, %s)", value, m.encodeElement(s.Value.Shape))
	}
	return value + ".AppendJSON(b)"
}

// encodeElement is a function that appends one list element or map value.
func (m *model) encodeElement(name string) string {
	switch m.kind(name) {
	case "string":
		return "appendStringElement"
	case "double":
		return "appendDoubleElement"
	case "item":
		return "appendItemElement"
	case "list", "map":
		return fmt.Sprintf("func(v *%s, b []byte) []byte { return %s }", m.elementType(name), m.encodeCollection(name, "*v"))
	}
	return method(m.elementType(name), "AppendJSON")
}
