package main

import (
	"fmt"
	"strings"
)

// emitPrint writes how structures appear inside the text of a violation.
func emitPrint(m *model, p *printer) {
	for _, name := range m.structures(m.printed) {
		p.f("func (v *%s) appendText(b []byte) []byte {\nb = append(b, %q...)\n", name, name+"(")
		for i, f := range m.fields(name) {
			label := f.json[:1]
			label = strings.ToLower(label) + f.json[1:] + "="
			if i > 0 {
				label = ", " + label
			}
			p.f("b = append(b, %q...)\n", label)
			p.f("b = %s\n", m.printMember(f))
		}
		p.f("return append(b, ')')\n}\n\n")
	}
}

// printMember appends one field, or null.
func (m *model) printMember(f field) string {
	switch f.kind {
	case "structure":
		return fmt.Sprintf("printPointer(b, v.%s, %s)", f.name, method(f.shape, "appendText"))
	case "string", "boolean", "integer", "long", "double", "timestamp":
		return fmt.Sprintf("printOptional(b, v.%s)", f.name)
	}
	return m.printValue(f.shape, "v."+f.name)
}

// printValue appends a list, map or attribute value.
func (m *model) printValue(name, value string) string {
	s := m.Shapes[name]
	switch m.kind(name) {
	case "list":
		return fmt.Sprintf("printList(b, %s, %s)", value, m.printElement(s.Member.Shape))
	case "map":
		return fmt.Sprintf("printMap(b, %s, %s)", value, m.printElement(s.Value.Shape))
	}
	return value + ".appendText(b)"
}

func (m *model) printElement(name string) string {
	switch m.kind(name) {
	case "string":
		return "printString"
	case "list", "map":
		return fmt.Sprintf("func(v *%s, b []byte) []byte { return %s }", m.elementType(name), m.printValue(name, "*v"))
	}
	return method(m.elementType(name), "appendText")
}
