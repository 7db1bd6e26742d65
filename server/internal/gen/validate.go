package main

import (
	"fmt"
	"slices"
	"strings"
)

// emitValidate writes the checks of lengths, ranges, sets and presence.
func emitValidate(m *model, p *printer) {
	m.emitEnums(p)
	m.emitPatterns(p)
	for _, name := range m.structures(m.inputs) {
		if m.isInput(name) {
			p.f("// Validate adds every violation of the request to c.\n")
			p.f("func (v *%s) Validate(c *Violations) {\n", name)
			if m.constrained(name) {
				p.f("v.validate(c, nil)\n")
			}
			p.f("}\n\n")
		}
		if !m.constrained(name) {
			continue
		}
		p.f("func (v *%s) validate(c *Violations, at *path) {\n", name)
		for _, f := range m.fields(name) {
			m.validateField(p, name, f)
		}
		p.f("}\n\n")
	}
}

func (m *model) emitEnums(p *printer) {
	for _, name := range m.names() {
		s := m.Shapes[name]
		if len(s.Enum) == 0 || !m.inputs[name] {
			continue
		}
		p.f("var enum%s = enum{%#v, %q}\n", name, s.Enum, "["+strings.Join(s.Enum, ", ")+"]")
	}
	p.f("\n")
}

// emitPatterns writes one variable per different pattern of an input.
func (m *model) emitPatterns(p *printer) {
	seen := map[string]bool{}
	for _, name := range m.names() {
		s := m.Shapes[name]
		if s.Pattern == "" || !m.inputs[name] || seen[s.Pattern] {
			continue
		}
		seen[s.Pattern] = true
		text := s.Pattern
		if own, ok := m.overlay.Patterns[text]; ok {
			text = own
		}
		p.f("var %s = newPattern(%q, %q)\n", m.patternVar(s.Pattern), s.Pattern, text)
	}
	p.f("\n")
}

// patternVar names the variable after the first shape that has the pattern.
func (m *model) patternVar(pattern string) string {
	for _, name := range m.names() {
		if m.Shapes[name].Pattern == pattern && m.inputs[name] {
			return "pattern" + name
		}
	}
	panic("unknown pattern " + pattern)
}

// constrained reports whether checking a structure can find anything.
func (m *model) constrained(name string) bool {
	for _, f := range m.fields(name) {
		if f.required || m.tableNameRule(name, f.json) != "" || m.fieldConstrained(name, f) {
			return true
		}
	}
	return false
}

func (m *model) fieldConstrained(structure string, f field) bool {
	lower, upper := m.bounds(structure, f.json, f.shape)
	s := m.Shapes[f.shape]
	if lower != nil || upper != nil || len(s.Enum) > 0 || s.Pattern != "" || m.overlay.MapKeys[f.shape] != "" {
		return true
	}
	return m.elementsConstrained(f.shape)
}

// elementsConstrained looks below a structure, list or map.
func (m *model) elementsConstrained(name string) bool {
	s := m.Shapes[name]
	switch m.kind(name) {
	case "structure":
		return m.constrained(name)
	case "list":
		return m.fieldConstrained("", field{shape: s.Member.Shape})
	case "map":
		return m.fieldConstrained("", field{shape: s.Value.Shape})
	}
	return false
}

func (m *model) validateField(p *printer, structure string, f field) {
	if rule := m.tableNameRule(structure, f.json); rule != "" {
		p.f("c.%sTableName(v.%s)\n", rule, f.name)
		return
	}
	checks := new(printer)
	m.checks(checks, structure, f)
	body := checks.body.String()
	switch {
	case f.required && body != "":
		p.f("if %s {\n%s} else {\nc.null(at, %q)\n}\n", m.present(f), body, f.json)
	case f.required:
		p.f("if !(%s) {\nc.null(at, %q)\n}\n", m.present(f), f.json)
	case body != "":
		p.f("if %s {\n%s}\n", m.present(f), body)
	}
}

// checks writes the statements that check one given field.
func (m *model) checks(p *printer, structure string, f field) {
	lower, upper := m.bounds(structure, f.json, f.shape)
	s := m.Shapes[f.shape]
	switch f.kind {
	case "string":
		m.stringChecks(p, "at", f.json, "v."+f.name+".Value", structure, f)
	case "integer", "long":
		call := "number"
		if slices.Contains(m.overlay.Plain, structure+"."+f.json) {
			call = "plainNumber"
		}
		if lower != nil || upper != nil {
			p.f("c.%s(at, %q, int64(v.%s.Value), %s)\n", call, f.json, f.name, limits(lower, upper))
		}
	case "structure":
		if m.constrained(f.shape) {
			p.f("v.%s.validate(c, &path{up: at, name: %q})\n", f.name, f.json)
		}
	case "list":
		m.countCheck(p, structure, f, lower, upper)
		m.listElements(p, f.json, "v."+f.name, s.Member.Shape)
	case "map":
		m.countCheck(p, structure, f, lower, upper)
		if m.overlay.MapKeys[f.shape] != "" {
			p.f("c.mapKeys(at, %q, %sKeys(v.%s), %s)\n", f.json, m.overlay.MapKeys[f.shape], f.name, m.echo(f))
		}
		m.mapValues(p, f, s.Value.Shape)
	}
}

func (m *model) stringChecks(p *printer, at, name, value, structure string, f field) {
	lower, upper := m.bounds(structure, f.json, f.shape)
	s := m.Shapes[f.shape]
	if len(s.Enum) > 0 {
		p.f("c.enum(%s, %q, %s, &enum%s)\n", at, name, value, f.shape)
	}
	if lower != nil || upper != nil {
		p.f("c.length(%s, %q, %s, %s)\n", at, name, value, limits(lower, upper))
	}
	if s.Pattern != "" {
		p.f("c.pattern(%s, %q, %s, %s)\n", at, name, value, m.patternVar(s.Pattern))
	}
}

// countCheck limits the number of elements of a list or map.
func (m *model) countCheck(p *printer, structure string, f field, lower, upper *int64) {
	if lower == nil && upper == nil {
		return
	}
	if slices.Contains(m.overlay.Plain, structure+"."+f.json) {
		p.f("c.plainCount(at, %q, len(v.%s), %s)\n", f.json, f.name, limits(lower, upper))
		return
	}
	p.f("c.count(at, %q, len(v.%s), %s, %s)\n", f.json, f.name, limits(lower, upper), m.echo(f))
}

// echo is a function that prints the collection for a message.
func (m *model) echo(f field) string {
	return fmt.Sprintf("func(b []byte) []byte { return %s }", m.printValue(f.shape, "v."+f.name))
}

func (m *model) listElements(p *printer, name, list, element string) {
	f := field{shape: element}
	if !m.fieldConstrained("", f) {
		return
	}
	p.f("for i := range %s {\n", list)
	p.f("at := &path{up: at, name: %q, index: i + 1}\n", name)
	if m.kind(element) == "string" {
		m.stringChecks(p, "at", "", list+"[i]", "", f)
	} else {
		p.f("%s[i].validate(c, at)\n", list)
	}
	p.f("}\n")
}

// mapValues checks what is below a map's values. Limits of the value itself
// are reported at the map, all of them together.
func (m *model) mapValues(p *printer, f field, value string) {
	s := m.Shapes[value]
	switch m.kind(value) {
	case "structure":
		if m.constrained(value) {
			p.f("for _, k := range sortedKeys(v.%s) {\ne := v.%s[k]\n", f.name, f.name)
			p.f("e.validate(c, &path{up: at, name: %q, key: k, keyed: true})\n}\n", f.json)
		}
	case "list":
		if s.Min != nil || s.Max != nil {
			p.f("c.mapCounts(at, %q, %s, %s, mapValuesWithin(v.%s, %s))\n",
				f.json, limits(s.Min, s.Max), m.echo(f), f.name, limits(s.Min, s.Max))
		}
		if m.fieldConstrained("", field{shape: s.Member.Shape}) {
			p.f("for _, k := range sortedKeys(v.%s) {\n", f.name)
			p.f("at := &path{up: at, name: %q, key: k, keyed: true}\n", f.json)
			m.listElements(p, "", "v."+f.name+"[k]", s.Member.Shape)
			p.f("}\n")
		}
	}
}

// limits renders an optional pair of bounds.
func limits(lower, upper *int64) string {
	text := func(v *int64, none string) string {
		if v == nil {
			return none
		}
		return fmt.Sprint(*v)
	}
	return "bounds{" + text(lower, "noMin") + ", " + text(upper, "noMax") + "}"
}
