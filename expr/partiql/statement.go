package partiql

import (
	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// A Statement is one of *Select, *Insert, *Update, *Delete and *Exists. It is
// immutable.
type Statement interface {
	// TableName returns the name, or ARN, of the table.
	TableName() string
}

// A Select reads items.
type Select struct {
	Table, Index string          // Index "" means the table itself
	Columns      []Column        // nil means "*"
	Where        *expr.Condition // nil means every item
	Order        []Order         // nil means any order
}

// A Column is a path to show.
type Column struct {
	Path expr.Path
	// Name is what an answer calls it: the last name of the path, with the
	// positions behind it. a.b is called b, and a.b[0] is called b[0].
	Name string
}

// An Order is an attribute to sort by.
type Order struct {
	Attr       string
	Descending bool
}

// An Insert adds an item, which must not exist yet.
type Insert struct {
	Table string
	Item  item.Item
}

// An Update changes an item, which must exist.
type Update struct {
	Table     string
	Changes   *expr.Update
	Where     *expr.Condition
	Returning Returning
}

// A Delete removes an item, if it exists.
type Delete struct {
	Table     string
	Where     *expr.Condition
	Returning Returning
}

// An Exists requires that an item is found.
type Exists struct{ Select *Select }

// A Returning says which attributes a write answers with.
type Returning byte

const (
	ReturningNothing Returning = iota
	AllOld
	AllNew
	ModifiedOld
	ModifiedNew
)

func (s *Select) TableName() string { return s.Table }
func (s *Insert) TableName() string { return s.Table }
func (s *Update) TableName() string { return s.Table }
func (s *Delete) TableName() string { return s.Table }
func (s *Exists) TableName() string { return s.Select.Table }

// Parse reads a statement. parameters are the values of its question marks, in
// order; each must be well formed. The error is an *expr.Error.
//
// Text that is no statement is reported before a wrong number of parameters,
// and both before what the statement says.
func Parse(text string, parameters []item.Value) (Statement, error) {
	p := newParser(text, parameters)
	s := p.statement()
	if err := p.finish(); err != nil {
		return nil, err
	}
	return s, nil
}

// statement reads a whole statement and its end.
func (p *parser) statement() (s Statement) {
	switch {
	case p.acceptKeyword("SELECT"):
		s = p.selectStatement()
	case p.acceptKeyword("INSERT"):
		s = p.insert()
	case p.acceptKeyword("UPDATE"):
		s = p.update()
	case p.acceptKeyword("DELETE"):
		s = p.delete()
	case p.acceptKeyword("EXISTS"):
		s = p.exists()
	default:
		p.malformed("Expected data manipulation")
	}
	switch ended := p.accept(semicolon); {
	case p.current.kind == endToken:
	case ended:
		p.malformed("Unexpected token after semicolon. (Only one query is allowed.)")
	default:
		p.malformed("Unexpected token after expression")
	}
	return s
}
