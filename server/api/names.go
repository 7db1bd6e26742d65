package api

import (
	"strings"
)

// Table names follow rules that the model does not have. A name may also be
// the ARN of a table. What the texts say differs by family of operations.

const (
	maxNameLength = 255
	maxARNLength  = 1024 // of the parameter, so of an ARN in it

	namePatternText = "[a-zA-Z0-9_.-]+"
	mustMatchName   = "Member must satisfy regular expression pattern: " + namePatternText
)

// itemTableName checks the table of item operations, Query and Scan. Names of
// one or two characters pass: there just is no such table.
func (c *Violations) itemTableName(name Optional[string]) {
	if !name.Given {
		c.null(nil, "TableName")
		return
	}
	c.checkTableName(name.Value, bounds{1, maxNameLength})
}

// controlTableName checks the table of operations on tables.
func (c *Violations) controlTableName(name Optional[string]) {
	if !name.Given {
		c.whole = "The parameter 'TableName' is required but was not present in the request"
		return
	}
	c.checkTableName(name.Value, bounds{3, maxNameLength})
}

// taggedTableName checks the ARN of the table whose tags an operation is about.
func (c *Violations) taggedTableName(arn Optional[string]) {
	if !arn.Given || arn.Value == "" {
		c.whole = "Invalid TableArn"
		return
	}
	c.length(nil, "ResourceArn", arn.Value, bounds{1, 1283})
}

func (c *Violations) checkTableName(name string, b bounds) {
	var v Violations
	if IsARN(name) {
		v.length(nil, "TableName", name, bounds{1, maxARNLength})
	} else {
		v.length(nil, "TableName", name, b)
		if name != "" && !isName(name) {
			v.add(nil, "TableName", quoted(name), mustMatchName)
		}
	}
	c.tableName = v.list
}

// tableNameKeys checks a map whose keys are tables.
func tableNameKeys[T any](m map[string]T) bool {
	for name := range m {
		if n := units(name); IsARN(name) && n > maxARNLength || !IsARN(name) && (n < 3 || n > maxNameLength || !isName(name)) {
			return false
		}
	}
	return true
}

func (c *Violations) mapKeys(at *path, name string, valid bool, echo func([]byte) []byte) {
	if !valid {
		c.add(at, name, quoted(string(echo(nil))),
			"Map keys must satisfy constraint: ["+bounds{3, maxNameLength}.both()+", "+mustMatchName+"]")
	}
}

// IsARN reports whether a table parameter has the form of an ARN.
func IsARN(name string) bool { return strings.HasPrefix(name, "arn:") }

// isName reports whether s consists of the characters of names of tables and
// indexes only.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
