package api

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxViolations is how many violations one message lists.
const maxViolations = 10

// A ConstraintError is a request that breaks constraints of the model. Message
// is the complete text of the ValidationException.
type ConstraintError struct{ Message string }

func (e *ConstraintError) Error() string { return e.Message }

// Violations collects what a request breaks, in the words of the service:
//
//	2 validation errors detected: Value 'x' at 'select' failed to satisfy constraint: Member must ...; ...
//
// A name of a table that cannot be used hides all others.
type Violations struct {
	list      []string // at most maxViolations
	tableName []string // violations of the table's name
	whole     string   // replaces the message
}

// err returns everything that was found in one *ConstraintError, or nil.
func (c *Violations) err() error {
	list := c.list
	switch {
	case c.whole != "":
		return &ConstraintError{Message: c.whole}
	case len(c.tableName) > 0:
		list = c.tableName
	case len(list) == 0:
		return nil
	}
	noun := " validation errors detected: "
	if len(list) == 1 {
		noun = " validation error detected: "
	}
	return &ConstraintError{Message: strconv.Itoa(len(list)) + noun + strings.Join(list, "; ")}
}

// A path leads from the request to a value: keySchema.1.member.keyType. Paths
// live on the stack of the checks, and become text only for a violation.
type path struct {
	up    *path
	name  string // member, as the model spells it
	index int    // 1-based element, 0 if none
	key   string // map key
	keyed bool
}

// text returns the path to the member name below at; name "" is at itself.
// Members begin with a lower-case letter unless asIs.
func (at *path) text(name string, asIs bool) string {
	var parts []string
	add := func(name string) {
		if !asIs && name != "" {
			name = strings.ToLower(name[:1]) + name[1:]
		}
		if name != "" {
			parts = append(parts, name)
		}
	}
	add(name)
	for p := at; p != nil; p = p.up {
		switch {
		case p.keyed:
			parts = append(parts, "member", bounded(p.key))
		case p.index > 0:
			parts = append(parts, "member", strconv.Itoa(p.index))
		}
		add(p.name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

// add records one violation. value is already printed, with its quotes.
func (c *Violations) add(at *path, name, value, constraint string) {
	if len(c.list) < maxViolations {
		c.list = append(c.list, "Value "+value+" at '"+at.text(name, false)+"' failed to satisfy constraint: "+constraint)
	}
}

// addPlain records a violation in the form without value, whose path keeps the
// model's letters. Which members have it is a quirk of the service.
func (c *Violations) addPlain(at *path, name, constraint string) {
	if len(c.list) < maxViolations {
		c.list = append(c.list, "Value at '"+at.text(name, true)+"' failed to satisfy constraint: "+constraint)
	}
}

func quoted(value string) string { return "'" + bounded(value) + "'" }

// bounded cuts what is longer than maxEcho.
func bounded(text string) string {
	if len(text) <= maxEcho {
		return text
	}
	return strings.ToValidUTF8(text[:maxEcho], "") + "..."
}

func (c *Violations) null(at *path, name string) {
	c.add(at, name, "null", "Member must not be null")
}

// bounds are inclusive.
type bounds struct{ lower, upper int64 }

const (
	noMin = math.MinInt64
	noMax = math.MaxInt64
)

// broken returns the constraint on "value" or "length" that n breaks, or "".
func (b bounds) broken(what string, n int64) string {
	switch {
	case n < b.lower:
		return b.minimum(what)
	case n > b.upper:
		return b.maximum(what)
	}
	return ""
}

func (b bounds) minimum(what string) string {
	return "Member must have " + what + " greater than or equal to " + strconv.FormatInt(b.lower, 10)
}

func (b bounds) maximum(what string) string {
	return "Member must have " + what + " less than or equal to " + strconv.FormatInt(b.upper, 10)
}

// both lists the bounds as constraints of a map's keys or values show them.
func (b bounds) both() string {
	var parts []string
	if b.upper != noMax {
		parts = append(parts, b.maximum("length"))
	}
	if b.lower != noMin {
		parts = append(parts, b.minimum("length"))
	}
	return strings.Join(parts, ", ")
}

func (c *Violations) number(at *path, name string, n int64, b bounds) {
	if broken := b.broken("value", n); broken != "" {
		c.add(at, name, quoted(strconv.FormatInt(n, 10)), broken)
	}
}

func (c *Violations) plainNumber(at *path, name string, n int64, b bounds) {
	if broken := b.broken("value", n); broken != "" {
		c.addPlain(at, name, broken)
	}
}

func (c *Violations) length(at *path, name, value string, b bounds) {
	if broken := b.broken("length", int64(units(value))); broken != "" {
		c.add(at, name, quoted(value), broken)
	}
}

// units is the length the service counts: UTF-16 units, as Java does.
func units(s string) int {
	n := utf8.RuneCountInString(s)
	if n == len(s) {
		return n
	}
	for _, r := range s {
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

func (c *Violations) count(at *path, name string, n int, b bounds, echo func([]byte) []byte) {
	if broken := b.broken("length", int64(n)); broken != "" {
		c.add(at, name, quoted(string(echo(nil))), broken)
	}
}

func (c *Violations) plainCount(at *path, name string, n int, b bounds) {
	if broken := b.broken("length", int64(n)); broken != "" {
		c.addPlain(at, name, broken)
	}
}

// mapCounts reports lists that are values of a map and break b, all at once.
func (c *Violations) mapCounts(at *path, name string, b bounds, echo func([]byte) []byte, within bool) {
	if !within {
		c.add(at, name, quoted(string(echo(nil))), "Map value must satisfy constraint: ["+b.both()+"]")
	}
}

func mapValuesWithin[T any](m map[string][]T, b bounds) bool {
	for _, list := range m {
		if b.broken("length", int64(len(list))) != "" {
			return false
		}
	}
	return true
}

// An enum is a set of values and its text in the order the service prints it.
type enum struct {
	values []string
	text   string
}

func (c *Violations) enum(at *path, name, value string, e *enum) {
	if !slices.Contains(e.values, value) {
		c.add(at, name, quoted(value), "Member must satisfy enum value set: "+e.text)
	}
}

// A pattern is a regular expression that a whole value must match.
type pattern struct {
	text string // as the service prints it
	expr *regexp.Regexp
}

func newPattern(text, expr string) *pattern {
	return &pattern{text: text, expr: regexp.MustCompile(`\A(?:` + expr + `)\z`)}
}

func (c *Violations) pattern(at *path, name, value string, p *pattern) {
	if !p.expr.MatchString(value) {
		c.add(at, name, quoted(value), "Member must satisfy regular expression pattern: "+p.text)
	}
}
