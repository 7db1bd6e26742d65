package partiql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// render writes a statement as the tree it is.
func render(s Statement) string {
	switch s := s.(type) {
	case *Select:
		var columns []string
		for _, c := range s.Columns {
			columns = append(columns, fmt.Sprintf("%v AS %s", c.Path, c.Name))
		}
		return fmt.Sprintf("select %s from %s.%s where %s order %v", strings.Join(columns, ", "), s.Table, s.Index, s.Where, s.Order)
	case *Insert:
		return fmt.Sprintf("insert %s: %s", s.Table, item.MapOf(s.Item))
	case *Update:
		return fmt.Sprintf("update %s: %s where %s returning %d", s.Table, s.Changes, s.Where, s.Returning)
	case *Delete:
		return fmt.Sprintf("delete %s where %s returning %d", s.Table, s.Where, s.Returning)
	case *Exists:
		return "exists " + render(s.Select)
	}
	return "?"
}

// grammar: what each text means. Question marks stand for the values of
// parameters, in order.
var grammar = []struct{ text, want string }{
	{`SELECT * FROM Music`, `select  from Music. where  order []`},
	{`select * from "Music" ;`, `select  from Music. where  order []`},
	{"SELECT *\n\tFROM Music -- all of it", `select  from Music. where  order []`},
	{`SELECT /* a comment */ * FROM Music`, `select  from Music. where  order []`},
	{`SELECT a, "b c", d.e, d.f[0], d['g'] FROM T`,
		`select [a] AS a, [b c] AS b c, [d, e] AS e, [d, f, [0]] AS f[0], [d, g] AS g from T. where  order []`},
	{`SELECT * FROM "T"."I"`, `select  from T.I where  order []`},
	{`SELECT * FROM "say ""T"""`, `select  from say "T". where  order []`},
	{`SELECT * FROM T ORDER BY a, b DESC, c ASC`, `select  from T. where  order [{a false} {b true} {c false}]`},

	// Operators, loosest last. Words in any case; <> may be written !=.
	{`SELECT * FROM T WHERE a = 1`, `select  from T. where a = {N:1} order []`},
	{`SELECT * FROM T WHERE a != 'x' and b <> 'y'`, `select  from T. where a <> {S:x} AND b <> {S:y} order []`},
	{`SELECT * FROM T WHERE a<=1 OR b>=2 AND c<3 OR d>4`,
		`select  from T. where a <= {N:1} OR b >= {N:2} AND c < {N:3} OR d > {N:4} order []`},
	{`SELECT * FROM T WHERE NOT a = 1 AND b = 2`, `select  from T. where NOT a = {N:1} AND b = {N:2} order []`},
	{`SELECT * FROM T WHERE NOT (a = 1 AND b = 2)`, `select  from T. where NOT (a = {N:1} AND b = {N:2}) order []`},
	{`SELECT * FROM T WHERE ((a) = (1))`, `select  from T. where a = {N:1} order []`},
	{`SELECT * FROM T WHERE ((a = 1 AND b = 2) AND (c = 3 OR d = 4)) AND e = 5`,
		`select  from T. where a = {N:1} AND b = {N:2} AND (c = {N:3} OR d = {N:4}) AND e = {N:5} order []`},
	{`SELECT * FROM T WHERE a BETWEEN 1 AND 2 AND b = 3`, `select  from T. where a BETWEEN {N:1} AND {N:2} AND b = {N:3} order []`},
	{`SELECT * FROM T WHERE a NOT BETWEEN 1 AND 2`, `select  from T. where NOT a BETWEEN {N:1} AND {N:2} order []`},
	{`SELECT * FROM T WHERE a IN [1, 'x', b]`, `select  from T. where a IN ({N:1}, {S:x}, b) order []`},
	{`SELECT * FROM T WHERE a IN (1)`, `select  from T. where a IN ({N:1}) order []`},
	{`SELECT * FROM T WHERE a NOT IN [1]`, `select  from T. where NOT a IN ({N:1}) order []`},
	{`SELECT * FROM T WHERE a IS MISSING OR b IS NOT MISSING`, `select  from T. where attribute_not_exists(a) OR NOT attribute_not_exists(b) order []`},
	{`SELECT * FROM T WHERE a IS NULL AND b IS NOT NULL`,
		`select  from T. where attribute_type(a, {S:NULL}) AND NOT attribute_type(b, {S:NULL}) order []`},
	{`SELECT * FROM T WHERE a IS number`, `select  from T. where attribute_type(a, {S:N}) order []`},
	{`SELECT * FROM T WHERE a IS BAG`,
		`select  from T. where attribute_type(a, {S:SS}) OR attribute_type(a, {S:NS}) OR attribute_type(a, {S:BS}) order []`},
	{`SELECT * FROM T WHERE Begins_With(a, 'x') AND contains("b", 1) AND ATTRIBUTE_TYPE(c, 'SS')`,
		`select  from T. where begins_with(a, {S:x}) AND contains(b, {N:1}) AND attribute_type(c, {S:SS}) order []`},
	{`SELECT * FROM T WHERE size(a.b[1]) > 2`, `select  from T. where size(a.b[1]) > {N:2} order []`},
	{`SELECT * FROM T WHERE 5 < a`, `select  from T. where {N:5} < a order []`},
	{`SELECT * FROM T WHERE a = ? AND b IN [?, ?]`, `select  from T. where a = {S:p1} AND b IN ({S:p2}, {S:p3}) order []`},

	// Values.
	{`INSERT INTO T VALUE {}`, `insert T: {M:{}}`},
	{`insert into T value {'s': 'it''s', 'n': -1.50e2, 'b': TRUE, 'z': null, 'm': missing}`,
		`insert T: {M:{b={BOOL:true}, n={N:-150}, s={S:it's}, z={NULL:true}}}`},
	{`INSERT INTO T VALUE {'l': [1, [], {'x': +2}], 'ss': <<'b', 'a'>>, 'ns': << 2, 1.0 >>}`,
		`insert T: {M:{l={L:[{N:1}, {L:[]}, {M:{x={N:2}}}]}, ns={NS:[1, 2]}, ss={SS:[a, b]}}}`},
	{`INSERT INTO T VALUE {'a': ?, 'a': ?}`, `insert T: {M:{a={S:p2}}}`},

	// Changes.
	{`UPDATE T SET a = 1 WHERE p = 'x'`, `update T: SET a = {N:1} where p = {S:x} returning 0`},
	{`UPDATE T SET a = 1 SET b.c = a, d[0] = a + 1 REMOVE e REMOVE f, g WHERE p = 'x'`,
		`update T: SET a = {N:1}, b.c = a, d[0] = a + {N:1} REMOVE e, f, g where p = {S:x} returning 0`},
	{`UPDATE T SET a = (b - 1), c = -1, d = e -1 WHERE p = 'x'`,
		`update T: SET a = b - {N:1}, c = {N:-1}, d = e - {N:1} where p = {S:x} returning 0`},
	{`UPDATE T SET a = List_Append(a, [1]) SET b = if_not_exists(b, 0) + 1 WHERE p = 'x'`,
		`update T: SET a = list_append(a, {L:[{N:1}]}), b = if_not_exists(b, {N:0}) + {N:1} where p = {S:x} returning 0`},
	{`UPDATE T SET a = set_add(a, <<'x'>>) SET b.c = SET_DELETE(b.c, <<1>>) WHERE p = 'x'`,
		`update T: ADD a {SS:[x]} DELETE b.c {NS:[1]} where p = {S:x} returning 0`},
	{`UPDATE T SET a = 1`, `update T: SET a = {N:1} where  returning 0`},
	{`UPDATE T SET a = 1 WHERE p = 'x' RETURNING ALL OLD *`, `update T: SET a = {N:1} where p = {S:x} returning 1`},
	{`UPDATE T SET a = 1 WHERE p = 'x' returning all new *`, `update T: SET a = {N:1} where p = {S:x} returning 2`},
	{`UPDATE T SET a = 1 WHERE p = 'x' RETURNING MODIFIED OLD *`, `update T: SET a = {N:1} where p = {S:x} returning 3`},
	{`UPDATE T SET a = 1 WHERE p = 'x' RETURNING MODIFIED NEW *`, `update T: SET a = {N:1} where p = {S:x} returning 4`},
	{`DELETE FROM T WHERE p = 'x'`, `delete T where p = {S:x} returning 0`},
	{`DELETE FROM T WHERE p = 'x' RETURNING ALL OLD *`, `delete T where p = {S:x} returning 1`},
	{`EXISTS(SELECT * FROM T WHERE p = 'x')`, `exists select  from T. where p = {S:x} order []`},
}

// parametersFor returns one value for each question mark outside of quotation
// marks: p1, p2 and so on.
func parametersFor(text string) []item.Value {
	var all []item.Value
	l := lexer{text: text}
	for t := l.next(); t.kind != endToken; t = l.next() {
		if t.kind == question {
			all = append(all, item.String(fmt.Sprintf("p%d", len(all)+1)))
		}
	}
	return all
}

func TestGrammar(t *testing.T) {
	for _, tt := range grammar {
		s, err := Parse(tt.text, parametersFor(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := render(s); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

const notWellFormed = "Statement wasn't well formed, can't be processed: "

// messages: what is answered to each text.
var messages = []struct{ text, want string }{
	{"", notWellFormed + "Expected data manipulation"},
	{"SLECT * FROM T", notWellFormed + "Expected data manipulation"},
	{"SELECT", notWellFormed + "Unexpected term"},
	{"SELECT * T", notWellFormed + "Expected FROM after SELECT list"},
	{"SELECT FROM T", notWellFormed + "Unexpected keyword"},
	{"SELECT * FROM", notWellFormed + "Unexpected term"},
	{`SELECT * FROM ""`, notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE = 1", notWellFormed + "Unexpected operator"},
	{"SELECT * FROM T WHERE AND a = 1", notWellFormed + "Unexpected operator"},
	{"SELECT * FROM T WHERE a = 1 AND", notWellFormed + "Missing right-hand side expression of infix operator"},
	{"SELECT * FROM T WHERE a BETWEEN 1 AND", notWellFormed + "Expected expression after AND"},
	{"SELECT * FROM T WHERE () = 1", notWellFormed + "Expression group cannot be empty"},
	{"SELECT *, a FROM T", notWellFormed + starAlone},
	{"SELECT a, * FROM T", notWellFormed + starAlone},
	{"SELECT * FROM my-table", notWellFormed + "Unexpected keyword"},
	{"SELECT * FROM T WHERE", notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE a", notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE a =", notWellFormed + "Missing right-hand side expression of infix operator"},
	{"SELECT * FROM T WHERE a = 'x", notWellFormed + "Unexpected character"},
	{"SELECT * FROM T WHERE a = 1x", notWellFormed + "Unexpected character"},
	{"SELECT * FROM T WHERE a = `x`", notWellFormed + "Unexpected character"},
	{"SELECT * FROM T WHERE (a = 1", notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE (a = 1) = 1", notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE a IN []", notWellFormed + "Unexpected term"},
	{"SELECT * FROM T WHERE date = 1", notWellFormed + "Unexpected keyword"},
	{"SELECT * FROM T WHERE a.user = 1", notWellFormed + "Invalid path dot component"},
	{"SELECT * FROM T WHERE a[x] = 1", notWellFormed + "Unexpected path component"},
	{"SELECT * FROM T WHERE a[1.5] = 1", notWellFormed + "Unexpected path component"},
	{"SELECT * FROM T WHERE a IS BLUE", notWellFormed + "Expected type name"},
	{"SELECT * FROM T; SELECT * FROM T", notWellFormed + "Unexpected token after semicolon. (Only one query is allowed.)"},
	{"SELECT * FROM T /* without an end", notWellFormed + "Unexpected token after expression"},
	{"INSERT INTO T (a) VALUES (1)", notWellFormed + "Unexpected token after expression"},
	{"INSERT INTO T (key) VALUES (1)", notWellFormed + "Unexpected keyword"},
	{"INSERT INTO 'T' VALUE {}", notWellFormed + "Expected identifier for simple path"},
	{"UPDATE T SET 'a' = 1", notWellFormed + "Expected identifier for simple path"},
	{"UPDATE T REMOVE a.user", notWellFormed + "Invalid path dot component"},
	{"DELETE T WHERE p = 1", notWellFormed + "Expected FROM after DELETE"},
	{"INSERT INTO T VALUE {a: 1}", notWellFormed + "Unexpected term"},
	{"INSERT INTO T VALUE {'a': 1", notWellFormed + "Unexpected term"},
	{"INSERT INTO T VALUE {'a': b}", notWellFormed + "Unexpected term"},
	{"UPDATE T WHERE p = 1", notWellFormed + "Expected data manipulation"},
	{"UPDATE Payment-x SET a = 1 WHERE p = 1", notWellFormed + "Expected data manipulation"},
	{"UPDATE T SET a WHERE p = 1", notWellFormed + "Expected '='"},
	{"UPDATE T SET a = 1 + 2 + 3 WHERE p = 1", notWellFormed + "Unexpected token after expression"},
	{"UPDATE T SET a = 1 WHERE p = 1 RETURNING NEW *", notWellFormed + "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element."},
	{"UPDATE T SET a = 1 WHERE p = 1 RETURNING ALL NEW", notWellFormed + "Unsupported syntax in RETURNING columns."},
	{"SELECT * FROM T WHERE " + strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200), notWellFormed + "Expression is nested too deep"},
	{"SELECT * FROM T WHERE " + strings.Repeat("NOT ", 200) + "a = 1", notWellFormed + "Expression is nested too deep"},
	{"SELECT * FROM T WHERE a = " + strings.Repeat("[", 4000), notWellFormed + "Expression is nested too deep"},

	{"SELECT * FROM 'T'", "Unexpected from source"},
	{"SELECT * FROM my-tab WHERE a = 1", "Unexpected from source"},
	{"SELECT a AS b FROM T", "Unsupported alias"},
	{"SELECT a FROM T t WHERE t.a = 1", "Unsupported alias"},
	{"SELECT COUNT(*) FROM T", "Unsupported function in SELECT list: COUNT"},
	{"SELECT * FROM T WHERE a LIKE 'x%'", "Unsupported operator: LIKE"},
	{"INSERT INTO T VALUE 'x'", "The value of INSERT must be a map"},
	{"SELECT * FROM T LIMIT 5", "Unsupported clause: LIMIT"},
	{"SELECT * FROM T WHERE a = 1 GROUP BY a", "Unsupported clause: GROUP"},
	{"SELECT * FROM T, U", "Only select from a single table or index is supported."},
	{"SELECT * FROM T JOIN U ON a = b", "Only select from a single table or index is supported."},
	{"DELETE FROM T WHERE p = 1 RETURNING ALL NEW *", "The RETURNING clause of a DELETE statement can only be ALL OLD *"},
	{"SELECT * FROM T WHERE a[99999999999] = 1", "List index is not within the allowable range; index: [99999999999]"},
	{"SELECT * FROM T WHERE a" + strings.Repeat(".b", 32) + " = 1", "The document path has too many nesting levels; nesting levels: 33"},
	{"SELECT * FROM T WHERE nope(a)", "Invalid function name; function: nope"},
	{"SELECT * FROM T WHERE begins_with(a)", "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1"},
	{"SELECT * FROM T WHERE size(a, b) = 1", "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2"},
	{"SELECT * FROM T WHERE a < true", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"},
	{"SELECT * FROM T WHERE begins_with(a, 1)", "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"},
	{"SELECT * FROM T WHERE attribute_type(a, 'X')", "Invalid attribute type name found; type: X, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
	{"SELECT * FROM T WHERE a BETWEEN 2 AND 1", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; " +
		"lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"},
	{"SELECT * FROM T WHERE a IN [" + strings.Repeat("1,", 100) + "1]", "The IN operator is provided with too many operands; number of operands: 101"},
	{"SELECT * FROM T WHERE a = 1" + strings.Repeat(" OR a = 1", 200), "The expression contains too many operators; operator count: 301"},
	{"INSERT INTO T VALUE {'a': 1e999}", "Number overflow. Attempting to store a number with magnitude larger than supported range"},
	{"INSERT INTO T VALUE {'': 1}", "One or more parameter values were invalid: Empty attribute name"},
	{"INSERT INTO T VALUE {'a': <<>>}", "One or more parameter values were invalid: An string set  may not be empty"},
	{"INSERT INTO T VALUE {'a': <<1, 1.0>>}", "Input collection contains duplicates"},
	{"INSERT INTO T VALUE {'a': <<1, 'x'>>}", "The members of a set must be all strings, all numbers or all binaries"},
	{"INSERT INTO T VALUE {'a': " + strings.Repeat("[", 33) + strings.Repeat("]", 33) + "}", item.MsgDepth},
	{"INSERT INTO T VALUE ?", "The value of INSERT must be a map"},
	{"UPDATE T SET a = 1, a.b = 2 WHERE p = 1",
		"Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
	{"UPDATE T SET a = b + 'x' WHERE p = 1", "Incorrect operand type for operator or function; operator or function: +, operand type: S"},
	{"UPDATE T SET a = list_append(a, 1) WHERE p = 1", "Incorrect operand type for operator or function; operator or function: list_append, operand type: N"},
	{"UPDATE T SET a = set_add(b, <<1>>) WHERE p = 1", "The first operand of set_add must be the attribute that is set"},
	{"UPDATE T SET a = set_add(a, 1) WHERE p = 1", "Incorrect operand type for operator or function; operator or function: set_add, operand type: N"},
	{"UPDATE T SET a = nope(a, 1) WHERE p = 1", "Invalid function name; function: nope"},
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		s, err := Parse(tt.text, parametersFor(tt.text))
		var e *expr.Error
		switch {
		case err == nil:
			t.Errorf("%s: got %s, want %q", tt.text, render(s), tt.want)
		case !errors.As(err, &e) || e.Message != tt.want:
			t.Errorf("%s:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// Each operator counts once, however conditions are put in parentheses: up to
// 300 of them, as in expressions.
func TestOperatorsAreCountedOnce(t *testing.T) {
	where := strings.Repeat("(", 99) + "a = 1"
	for range 99 {
		where += " AND b = 2)"
	}
	where += " AND c = 3" + strings.Repeat(" OR d = 4", 50) // 151 comparisons and 149 more
	if _, err := Parse("SELECT * FROM T WHERE "+where, nil); err == nil || !strings.Contains(err.Error(), "operator count: 301") {
		t.Errorf("301 operators: got %v", err)
	}
	where = strings.TrimSuffix(where, " OR d = 4")
	if _, err := Parse("SELECT * FROM T WHERE "+where, nil); err != nil {
		t.Errorf("299 operators: %v", err)
	}
}

// The number of parameters counts after the syntax and before everything else.
func TestNumberOfParameters(t *testing.T) {
	const mismatch = "Number of parameters in request and statement don't match."
	x := item.String("x")
	for _, tt := range []struct {
		text       string
		parameters []item.Value
		want       string
	}{
		{"SELECT * FROM T WHERE a = ?", nil, mismatch},
		{"SELECT * FROM T WHERE a = ?", []item.Value{x, x}, mismatch},
		{"SELECT * FROM T WHERE a = '?'", []item.Value{x}, mismatch},
		{"INSERT INTO T VALUE ?", nil, mismatch},
		{"UPDATE T SET a = set_add(a, ?) WHERE p = ?", []item.Value{x}, mismatch},
		{"SELECT * FROM T WHERE a < true AND b = ?", nil, mismatch},
		{"SELECT * FROM T WHERE a = ? AND", nil, notWellFormed + "Missing right-hand side expression of infix operator"},
	} {
		if _, err := Parse(tt.text, tt.parameters); err == nil || err.Error() != tt.want {
			t.Errorf("%s with %d: got %v, want %s", tt.text, len(tt.parameters), err, tt.want)
		}
	}
}

// Columns are called by their last name.
func TestShow(t *testing.T) {
	it := item.NewItem(map[string]item.Value{
		"a": item.Int(1),
		"m": item.Map(map[string]item.Value{"x": item.Int(2), "l": item.List(item.Int(3), item.Int(4))}),
	})
	for _, tt := range []struct{ columns, want string }{
		{"*", `{M:{a={N:1}, m={M:{l={L:[{N:3}, {N:4}]}, x={N:2}}}}}`},
		{"a", `{M:{a={N:1}}}`},
		{"m.x", `{M:{x={N:2}}}`},
		{"m.l[1], a", `{M:{a={N:1}, l[1]={N:4}}}`},
		{"m.nope, nope, a.b", `{M:{}}`},
	} {
		s, err := Parse("SELECT "+tt.columns+" FROM T", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := item.MapOf(s.(*Select).Show(it)).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.columns, got, tt.want)
		}
	}
}
