package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A model is the service model with the overlay applied.
type model struct {
	Operations map[string]operation `json:"operations"`
	Shapes     map[string]*shape    `json:"shapes"`

	overlay overlay
	inputs  map[string]bool // shapes reachable from an operation's input
	outputs map[string]bool // ... from an output or an error
	printed map[string]bool // structures inside a list or map of an input
}

type operation struct {
	Input  *ref  `json:"input"`
	Output *ref  `json:"output"`
	Errors []ref `json:"errors"`
}

type ref struct {
	Shape string `json:"shape"`
}

// A shape is one type of the model. Which fields mean something depends on Type.
type shape struct {
	Type      string         `json:"type"`
	Members   map[string]ref `json:"members"`  // structure
	Required  []string       `json:"required"` // structure
	Exception bool           `json:"exception"`
	Member    *ref           `json:"member"` // list
	Key       *ref           `json:"key"`    // map
	Value     *ref           `json:"value"`  // map
	Enum      []string       `json:"enum"`
	Pattern   string         `json:"pattern"`
	Min       *int64         `json:"min"`
	Max       *int64         `json:"max"`
}

// An overlay is described in model/README.md.
type overlay struct {
	Operations []string                     `json:"operations"`
	Members    map[string][]string          `json:"members"`
	Required   map[string][]string          `json:"required"`
	Enums      map[string][]string          `json:"enums"`
	Bounds     map[string]map[string]*int64 `json:"bounds"`
	TableNames map[string][]string          `json:"tableNames"`
	MapKeys    map[string]string            `json:"mapKeys"`
	Plain      []string                     `json:"plain"`
	Patterns   map[string]string            `json:"patterns"`
}

// Shapes with a meaning of their own: attribute values are binary from the
// moment they are decoded.
const (
	attributeValue = "AttributeValue"
	opaque         = "opaque" // a member known by name only
)

func readModel(dir string) (*model, error) {
	m := &model{inputs: map[string]bool{}, outputs: map[string]bool{}, printed: map[string]bool{}}
	if err := readJSON(filepath.Join(dir, "dynamodb.json"), m); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, "overlay.json"), &m.overlay); err != nil {
		return nil, err
	}
	if err := m.applyOverlay(); err != nil {
		return nil, err
	}
	m.reach()
	return m, nil
}

func readJSON(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// applyOverlay changes the shapes themselves where that is possible; the rest
// is looked up while emitting.
func (m *model) applyOverlay() error {
	m.Shapes[opaque] = &shape{Type: opaque}
	for name, members := range m.overlay.Members {
		for _, member := range members {
			if _, known := m.Shapes[name].Members[member]; known {
				return fmt.Errorf("overlay: the model has %s.%s by now", name, member)
			}
			m.Shapes[name].Members[member] = ref{Shape: opaque}
		}
	}
	for name, members := range m.overlay.Required {
		m.Shapes[name].Required = append(m.Shapes[name].Required, members...)
	}
	for name, order := range m.overlay.Enums {
		if !slices.Equal(slices.Sorted(slices.Values(order)), slices.Sorted(slices.Values(m.Shapes[name].Enum))) {
			return fmt.Errorf("overlay: enum %s is not the model's set", name)
		}
		m.Shapes[name].Enum = order
	}
	for _, op := range m.overlay.Operations {
		if _, known := m.Operations[op]; known {
			return fmt.Errorf("overlay: the model has operation %s by now", op)
		}
	}
	return nil
}

// reach marks what inputs, outputs and collections of inputs need.
func (m *model) reach() {
	for _, op := range m.Operations {
		if op.Input != nil {
			m.walk(op.Input.Shape, m.inputs)
		}
		if op.Output != nil {
			m.walk(op.Output.Shape, m.outputs)
		}
		for _, e := range op.Errors {
			m.walk(e.Shape, m.outputs)
		}
	}
	for _, name := range m.names() {
		s := m.Shapes[name]
		if m.inputs[name] && s.Type == "list" {
			m.walk(s.Member.Shape, m.printed)
		}
		if m.inputs[name] && s.Type == "map" {
			m.walk(s.Value.Shape, m.printed)
		}
	}
}

func (m *model) walk(name string, seen map[string]bool) {
	if seen[name] || name == attributeValue {
		return
	}
	seen[name] = true
	s := m.Shapes[name]
	for _, r := range s.Members {
		m.walk(r.Shape, seen)
	}
	if s.Member != nil {
		m.walk(s.Member.Shape, seen)
	}
	if s.Value != nil {
		m.walk(s.Key.Shape, seen)
		m.walk(s.Value.Shape, seen)
	}
}

// names returns every shape name in order.
func (m *model) names() []string { return slices.Sorted(maps.Keys(m.Shapes)) }

// structures returns the names of the structures in set, in order.
func (m *model) structures(set map[string]bool) []string {
	var out []string
	for _, name := range m.names() {
		if set[name] && m.Shapes[name].Type == "structure" {
			out = append(out, name)
		}
	}
	return out
}

// bounds returns the smallest and largest length or value of a member's shape.
func (m *model) bounds(structure, member, shapeName string) (lower, upper *int64) {
	s := m.Shapes[shapeName]
	lower, upper = s.Min, s.Max
	for _, name := range []string{shapeName, structure + "." + member} {
		if v, ok := m.overlay.Bounds[name]["min"]; ok {
			lower = v
		}
		if v, ok := m.overlay.Bounds[name]["max"]; ok {
			upper = v
		}
	}
	return lower, upper
}

// tableNameRule returns "item", "control" or "" for a structure's TableName,
// "tagged" or "" for its ResourceArn.
func (m *model) tableNameRule(structure, member string) string {
	rules := map[string][]string{"TableName": {"item", "control"}, "ResourceArn": {"tagged"}}
	for _, rule := range rules[member] {
		if slices.Contains(m.overlay.TableNames[rule], structure) {
			return rule
		}
	}
	return ""
}
