package expr

import (
	"slices"
	"strings"

	"github.com/statordb/stator/item"
)

// Limits of "Service, account, and table quotas", expression parameters.
const (
	maxPlaceholderBytes = 255     // one "#name" or ":value", prefix included
	maxParamsBytes      = 2 << 20 // all placeholders and what they stand for
	maxNameBytes        = 65535   // an attribute name
)

// Params are the ExpressionAttributeNames and ExpressionAttributeValues that
// the expressions of one request share, and which of them were used so far
// ("Expression attribute names", "Expression attribute values"). No Params,
// nil, define nothing.
//
// A request is checked in this order: Check, then the expressions are parsed
// (update, condition, key condition, filter, projection), then Unused.
//
// Params is not safe for concurrent use. Trees keep attribute names and
// constants by reference, so neither may be changed after parsing.
type Params struct {
	names  map[string]string // "#name" to attribute name; nil if not given
	values item.Item         // member ":value"; nil if not given

	usedNames, usedValues []string // sorted

	cache *Cache // what expressions are parsed through; nil = none
}

// NewParams returns the parameters of a request. A nil map or item means that
// the request has no such member, which differs from an empty one.
func NewParams(names map[string]string, values item.Item) *Params {
	return &Params{names: names, values: values}
}

// Check reports a malformed map of names or values as an *Error. What the
// values themselves are is checked where they are decoded; see InvalidValue.
func (p *Params) Check() error {
	if err := p.checkNames(); err != nil {
		return err
	}
	if err := p.checkValues(); err != nil {
		return err
	}
	if p.sizeBytes() > maxParamsBytes {
		return errorf("ExpressionAttributeNames and ExpressionAttributeValues exceed the maximum allowed size of %d bytes", maxParamsBytes)
	}
	return nil
}

// InvalidValue wraps the message of an error found in the value called name
// (":v") of ExpressionAttributeValues. If the name is malformed too, that is
// the error.
func InvalidValue(name string, message string) error {
	if err := checkPlaceholder("ExpressionAttributeValues", ':', name); err != nil {
		return err
	}
	return errorf("ExpressionAttributeValues contains invalid value: %s for key %s", message, name)
}

func (p *Params) checkNames() error {
	if p.names == nil {
		return nil
	}
	if len(p.names) == 0 {
		return &Error{"ExpressionAttributeNames must not be empty"}
	}
	for key, name := range p.names {
		if checkName(key, name) != nil {
			return p.firstBadName()
		}
	}
	return nil
}

// firstBadName returns the error of the first name that has one, in the order
// of the keys.
func (p *Params) firstBadName() error {
	for _, key := range p.sortedNames() {
		if err := checkName(key, p.names[key]); err != nil {
			return err
		}
	}
	return nil
}

func checkName(key, name string) error {
	if err := checkPlaceholder("ExpressionAttributeNames", '#', key); err != nil {
		return err
	}
	if len(name) == 0 || len(name) > maxNameBytes {
		return errorf("ExpressionAttributeNames contains invalid value: "+
			"Attribute names must have between 1 and %d bytes; key: %s", maxNameBytes, key)
	}
	return nil
}

func (p *Params) checkValues() error {
	if p.values == nil {
		return nil
	}
	if p.values.Len() == 0 {
		return &Error{"ExpressionAttributeValues must not be empty"}
	}
	for key := range p.values.All() {
		if err := checkPlaceholder("ExpressionAttributeValues", ':', key); err != nil {
			return err
		}
	}
	return nil
}

func checkPlaceholder(parameter string, prefix byte, key string) error {
	switch {
	case len(key) > maxPlaceholderBytes:
		return errorf("%s contains invalid key: The expression attribute map contains a key that is too long; size of key: %d",
			parameter, len(key))
	case len(key) < 2 || key[0] != prefix || !isWord(key[1:]):
		return errorf("%s contains invalid key: Syntax error; key: \"%s\"", parameter, key)
	}
	return nil
}

func isWord(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return true
}

func (p *Params) sortedNames() []string {
	keys := make([]string, 0, len(p.names))
	for key := range p.names {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (p *Params) sizeBytes() int {
	n := 0
	for key, name := range p.names {
		n += len(key) + len(name)
	}
	if p.values != nil {
		n += p.values.Size()
	}
	return n
}

// name returns the attribute that "#name" stands for.
func (p *Params) name(key string) (string, bool) {
	name, ok := p.names[key]
	if ok {
		p.usedNames = insert(p.usedNames, key)
	}
	return name, ok
}

// value returns the constant that ":value" stands for.
func (p *Params) value(key string) (item.Value, bool) {
	if p.values == nil {
		return nil, false
	}
	v, ok := p.values.Get(key)
	if ok {
		p.usedValues = insert(p.usedValues, key)
	}
	return v, ok
}

func insert(sorted []string, s string) []string {
	i, found := slices.BinarySearch(sorted, s)
	switch {
	case found:
		return sorted
	case sorted == nil:
		sorted = make([]string, 0, 8)
	}
	return slices.Insert(sorted, i, s)
}

// Unused reports the names, else the values, that no expression used, as an
// *Error. Call it after all expressions of the request have been parsed.
func (p *Params) Unused() error {
	if len(p.usedNames) < len(p.names) {
		return unused("ExpressionAttributeNames", missing(p.sortedNames(), p.usedNames))
	}
	if p.values == nil || len(p.usedValues) == p.values.Len() {
		return nil
	}
	var keys []string
	for key := range p.values.All() {
		keys = append(keys, key)
	}
	return unused("ExpressionAttributeValues", missing(keys, p.usedValues))
}

// missing returns the keys that are not in sorted.
func missing(keys, sorted []string) []string {
	return slices.DeleteFunc(keys, func(key string) bool {
		_, found := slices.BinarySearch(sorted, key)
		return found
	})
}

func unused(parameter string, keys []string) error {
	return errorf("Value provided in %s unused in expressions: keys: {%s}", parameter, strings.Join(keys, ", "))
}
