package expr

import (
	"fmt"
	"strings"
	"testing"
)

// paramsFor are the placeholders that the message tables use.
func paramsFor(t testing.TB) *Params {
	return NewParams(
		map[string]string{"#a": "a", "#b": "b", "#dotted": "x.y", "#0": "zero", "#_": "underscore"},
		attrs(t, `{":s":{"S":"x"}, ":t":{"S":"a"}, ":n":{"N":"1"}, ":m":{"N":"2"}, ":b":{"B":"AAE="},
			":bool":{"BOOL":true}, ":null":{"NULL":true}, ":l":{"L":[]}, ":map":{"M":{}},
			":ss":{"SS":["a"]}, ":ns":{"NS":["1"]}, ":bs":{"BS":["AA=="]}, ":DOG":{"S":"DOG"}, ":0":{"S":"S"}}`))
}

// parse parses an expression of any kind and returns the message.
func parse(t testing.TB, kind Kind, text string, params *Params) string {
	t.Helper()
	var err error
	switch kind {
	case ProjectionExpression:
		_, err = ParseProjection(text, params)
	case UpdateExpression:
		_, err = ParseUpdate(text, params)
	case KeyConditionExpression:
		_, err = ParseKeyCondition(text, params)
	default:
		_, err = ParseCondition(kind, text, params)
	}
	return message(t, err)
}

func syntax(token, near string) string {
	return fmt.Sprintf("Syntax error; token: \"%s\", near: \"%s\"", token, near)
}

const (
	parentheses  = "The expression has redundant parentheses;"
	distinct     = "The first operand must be distinct from the remaining operands for this operator or function; operator: "
	operandType  = "Incorrect operand type for operator or function; operator or function: "
	operandTotal = "Incorrect number of operands for operator or function; operator or function: "
	misuse       = "The function is not allowed to be used this way in an expression; function: "
	needsPath    = "Operator or function requires a document path; operator or function: "
	noName       = "An expression attribute name used in the document path is not defined; attribute name: "
	noValue      = "An expression attribute value used in expression is not defined; attribute value: "
	reserved     = "Attribute name is a reserved keyword; reserved keyword: "
	noFunction   = "Invalid function name; function: "
	twoOverlap   = "Two document paths overlap with each other; must remove or rewrite one of these paths; "
	twoConflict  = "Two document paths conflict with each other; must remove or rewrite one of these paths; "
)

var conditionMessages = []struct{ text, want string }{
	// Well-formed.
	{"a = :s", ""},
	{"a=:s", ""},
	{" a\t=\r\n:s ", ""},
	{"(a = :s)", ""},
	{"(a = :s) AND (b = :s)", ""},
	{"(a) = (:s)", ""},
	{"size(a) > :n", ""},
	{"(size(a)) > (:n)", ""},
	{"size((a)) > :n", ""},
	{"a in (:s)", ""},
	{"a IN ((:s), (b), size(c))", ""},
	{"NOT NOT a = :s", ""},
	{"not (a = :s or b = :s) And c Between :n aNd :m", ""},
	{"a . b [ 0 ] . #b = :s", ""},
	{"#0 = :0 AND #_ = :s", ""},
	{"attribute_exists(a) OR attribute_not_exists(a[1].b)", ""},
	{"(attribute_exists(a))", ""},
	{"attribute_type(a, :0) AND attribute_type(:n, :0)", ""},
	{"begins_with(:s, a) AND begins_with(a, b)", ""},
	{"contains(a, :map)", ""},
	{"a <> :l AND a = :map", ""},
	{"size(:s) = size(:l)", ""},
	{"SET1 = :s", ""},
	{"a BETWEEN :n AND :n", ""},
	{"a BETWEEN b AND :n", ""},

	// Text.
	{"", "The expression can not be empty;"},
	{" \n", "The expression can not be empty;"},
	{"a = :s" + strings.Repeat(" ", 4091), "Expression size has exceeded the maximum allowed size; expression size: 4097"},
	{"a = :s" + strings.Repeat(" ", 4090), ""},

	// Syntax.
	{"a", syntax("<EOF>", "a")},
	{":s", syntax("<EOF>", ":s")},
	{"(a)", syntax("<EOF>", ")")},
	{"a =", syntax("<EOF>", "=")},
	{"a = :s b", syntax("b", ":s b")},
	{"a  !=  :s", syntax("!", "a  !=")},
	{"= :s", syntax("=", "= :s")},
	{"a = = :s", syntax("=", "= = :s")},
	{")", syntax(")", ")")},
	{"a = :s)", syntax(")", ":s)")},
	{"(a = :s", syntax("<EOF>", ":s")},
	{"_a = :s", syntax("_a", "_a =")},
	{"1a = :s", syntax("1a", "1a =")},
	{"a-b = :s", syntax("-", "a-b")},
	{"# = :s", syntax("#", "# =")},
	{"a = :", syntax(":", "= :")},
	{"a = : s", syntax(":", "= : s")},
	{"a é b", syntax("é", "a é b")},
	{"a = 1", syntax("1", "= 1")},
	{"a = 'x'", syntax("'", "= 'x")},
	{"a[b] = :s", syntax("b", "[b]")},
	{"a[:n] = :s", syntax(":n", "[:n]")},
	{"a[-1] = :s", syntax("-", "[-1")},
	{"a.0 = :s", syntax("0", ".0 =")},
	{"a. = :s", syntax("=", ". = :s")},
	{"a IN ()", syntax(")", "()")},
	{"a IN :s", syntax(":s", "IN :s")},
	{"a BETWEEN :n, :m", syntax(",", ":n, :m")},
	{"a BETWEEN :n OR :m", syntax("OR", ":n OR :m")},
	{"a = :s AND", syntax("<EOF>", "AND")},
	{"a AND b = :s", syntax("AND", "a AND b")},
	{"NOT a", syntax("<EOF>", "a")},
	{"(a AND b = :s)", syntax("AND", "a AND b")},
	{"(a = :s) = :s", syntax("=", ") = :s")},
	{"a = (b = :s)", syntax("=", "b = :s")},
	{"and = :s", syntax("and", "and =")},
	{"a = :s AND b.between = :s", syntax("between", ".between =")},
	{"attribute_exists()", syntax(")", "()")},
	{"size(a = :s)", syntax("=", "a = :s")},
	{"a + :n = :m", syntax("+", "a + :n")},
	{"a ++ b", syntax("+", "a ++")},

	// One class of errors each.
	{strings.Repeat("NOT ", 300) + "a = :s", "The expression contains too many operators; operator count: 301"},
	{strings.Repeat("NOT ", 400) + "a = :s", "The expression contains too many operators; operator count: 301"},
	{strings.Repeat("NOT ", 299) + "a = :s", ""},
	{"a[2147483648] = :s", "List index is not within the allowable range; index: [2147483648]"},
	{"a[99999999999999] = :s", "List index is not within the allowable range; index: [99999999999999]"},
	{"a[2147483647] = :s", ""},
	{"a" + strings.Repeat(".a", 32) + " = :s", "The document path has too many nesting levels; nesting levels: 33"},
	{"a" + strings.Repeat("[0]", 40) + " = :s", "The document path has too many nesting levels; nesting levels: 41"},
	{"a" + strings.Repeat(".a", 31) + " = :s", ""},
	{"((a = :s))", parentheses},
	{"((a)) = :s", parentheses},
	{"a = ((:s))", parentheses},
	{"a IN (((:s)))", parentheses},
	{"(((a = :s) AND b = :s))", parentheses},
	{"foo(a)", noFunction + "foo"},
	{"Size(a) = :n", noFunction + "Size"},
	{"a = foo(b)", noFunction + "foo"},
	{"ATTRIBUTE_EXISTS(a)", noFunction + "ATTRIBUTE_EXISTS"},
	{"list_append(a, b) = :l", "The function is not allowed in a condition expression; function: list_append"},
	{"if_not_exists(a, b)", "The function is not allowed in a condition expression; function: if_not_exists"},
	{"size(a)", misuse + "size"},
	{"(size(a))", misuse + "size"},
	{"NOT size(a)", misuse + "size"},
	{"attribute_exists(a) = :s", misuse + "attribute_exists"},
	{"(attribute_exists(a)) = :s", misuse + "attribute_exists"},
	{"a = attribute_exists(a)", misuse + "attribute_exists"},
	{"attribute_exists(attribute_exists(a))", misuse + "attribute_exists"},
	{"contains(a, begins_with(b, c))", misuse + "begins_with"},
	{"size(contains(a, b)) = :n", misuse + "contains"},
	{"size = :n", reserved + "size"},
	{"a = Abort", reserved + "Abort"},
	{"a.item.b = :s", reserved + "item"},
	{"set = :s", reserved + "set"},
	{"#x = :s", noName + "#x"},
	{"a.#x = :s", noName + "#x"},
	{"a = :x", noValue + ":x"},
	{"#A = :s", noName + "#A"},
	{"attribute_exists(a, b)", operandTotal + "attribute_exists, number of operands: 2"},
	{"size(a, b) = :n", operandTotal + "size, number of operands: 2"},
	{"contains(a)", operandTotal + "contains, number of operands: 1"},
	{"begins_with(a, :s, :s)", operandTotal + "begins_with, number of operands: 3"},
	{"attribute_type(a)", operandTotal + "attribute_type, number of operands: 1"},
	{"a IN (" + strings.Repeat(":s, ", 98) + ":s)", ""},
	{"a IN (" + strings.Repeat(":s, ", 99) + ":s)", "The IN operator is provided with too many operands; number of operands: 101"},
	{"a = #a", distinct + "=, first operand: [a]"},
	{"a[0].b <> a[0].b", distinct + "<>, first operand: [a, [0], b]"},
	{"a < a", distinct + "<, first operand: [a]"},
	{"a BETWEEN :n AND a", distinct + "BETWEEN, first operand: [a]"},
	{"a IN (:s, a)", distinct + "IN, first operand: [a]"},
	{"contains(a, a)", distinct + "contains, first operand: [a]"},
	{"begins_with(a, a)", distinct + "begins_with, first operand: [a]"},
	{"attribute_type(a, a)", distinct + "attribute_type, first operand: [a]"},
	{"attribute_exists(:s)", needsPath + "attribute_exists"},
	{"attribute_not_exists(size(a))", needsPath + "attribute_not_exists"},
	{"a < :bool", operandType + "<, operand type: BOOL"},
	{":null <= a", operandType + "<=, operand type: NULL"},
	{"a > :l", operandType + ">, operand type: L"},
	{"a >= :map", operandType + ">=, operand type: M"},
	{"a < :ss", operandType + "<, operand type: SS"},
	{"a BETWEEN :l AND :m", operandType + "BETWEEN, operand type: L"},
	{":bool BETWEEN :n AND :m", operandType + "BETWEEN, operand type: BOOL"},
	{"size(:n) = :n", operandType + "size, operand type: N"},
	{"size(:bool) = :n", operandType + "size, operand type: BOOL"},
	{"size(:null) = :n", operandType + "size, operand type: NULL"},
	{"size(size(a)) = :n", operandType + "size, operand type: N"},
	{"begins_with(a, :n)", operandType + "begins_with, operand type: N"},
	{"begins_with(:l, a)", operandType + "begins_with, operand type: L"},
	{"begins_with(a, size(b))", operandType + "begins_with, operand type: N"},
	{"attribute_type(a, b)", operandType + "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"},
	{"attribute_type(a, :n)", operandType + "attribute_type, operand type: N"},
	{"attribute_type(a, size(b))", operandType + "attribute_type, operand type: N"},
	{"attribute_type(a, :DOG)", "Invalid attribute type name found; type: DOG, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"},
	{"a BETWEEN :s AND :n", "The BETWEEN operator requires same data type for lower and upper bounds; " +
		"lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {N:1}"},
	{"a BETWEEN :m AND :n", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; " +
		"lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"},

	// Priority: syntax, parentheses, unknown function, misused function,
	// reserved word; then condition by condition.
	{"((foo(size))) =", syntax("<EOF>", "=")},
	{"size = :x AND foo(a) AND size(a) AND ((a = :s))", parentheses},
	{"size = :x AND size(a) AND foo(a)", noFunction + "foo"},
	{"size = :x AND size(a)", misuse + "size"},
	{"a = :x AND size = :s", reserved + "size"},
	{"a = :x AND b = #x", noValue + ":x"},
	{"#x = :x", noName + "#x"},
	{"a = a AND b = :x", distinct + "=, first operand: [a]"},
	{"a < :l AND a = a", operandType + "<, operand type: L"},
	{"begins_with(:n, :x)", noValue + ":x"},
	{"contains(a, a, :x)", noValue + ":x"},
	{"begins_with(a, a, a)", operandTotal + "begins_with, number of operands: 3"},
	{"a BETWEEN a AND :l", distinct + "BETWEEN, first operand: [a]"},
	{"a BETWEEN :ss AND :n", operandType + "BETWEEN, operand type: SS"},
}

func TestConditionMessages(t *testing.T) {
	for _, kind := range []Kind{ConditionExpression, FilterExpression} {
		for _, tt := range conditionMessages {
			want := tt.want
			if want != "" {
				want = "Invalid " + kind.String() + ": " + want
			}
			if got := parse(t, kind, tt.text, paramsFor(t)); got != want {
				t.Errorf("%s %.80q\n got %q\nwant %q", kind, tt.text, got, want)
			}
		}
	}
}

// longName is a token that is longer than a placeholder may be; such a key is
// refused with its map, so in an expression it is merely undefined.
var longName = "#" + strings.Repeat("n", 300)

var updateMessages = []struct{ text, want string }{
	{"SET a = :s", ""},
	{"set a = :s, b = a remove c, d[0] add e :n, f :ss delete g :ns", ""},
	{"SET a = (b + :n)", ""},
	{"SET a = (b) - (:n)", ""},
	{"SET a = if_not_exists(a, :n) + :n", ""},
	{"SET a = if_not_exists(b, if_not_exists(c, :n))", ""},
	{"SET a = list_append(if_not_exists(a, :l), :l)", ""},
	{"SET a = list_append(a, a)", ""},
	{"SET a.b[1] = (:s), #b.c = a.b", ""},
	{"REMOVE a[0], a[1]", ""},
	{"SET BETWEEN1 = :s", ""},

	{"", "The expression can not be empty;"},
	{"SET a = :s" + strings.Repeat(" ", 4087), "Expression size has exceeded the maximum allowed size; expression size: 4097"},
	{"a = :s", syntax("a", "a =")},
	{"SET", syntax("<EOF>", "SET")},
	{"SET a", syntax("<EOF>", "a")},
	{"SET a =", syntax("<EOF>", "=")},
	{"SET a :s", syntax(":s", "a :s")},
	{"SET a = :s,", syntax("<EOF>", ",")},
	{"SET a = :s b = :s", syntax("b", ":s b =")},
	{"SET a = :n + :n + :n", syntax("+", ":n + :n")},
	{"SET a = (:n + :n) + :n", syntax("+", ") + :n")},
	{"SET a = :n + (:n + :n)", syntax("+", ":n + :n")},
	{"SET a = :n * :n", syntax("*", ":n * :n")},
	{"SET (a) = :n", syntax("(", "SET (a")},
	{"SET :n = :n", syntax(":n", "SET :n =")},
	{"SET a = b = c", syntax("=", "b = c")},
	{"SET if_not_exists(a, b) = :n", syntax("(", "if_not_exists(a")},
	{"REMOVE :s", syntax(":s", "REMOVE :s")},
	{"REMOVE a b", syntax("b", "a b")},
	{"ADD a", syntax("<EOF>", "a")},
	{"ADD a b", syntax("b", "a b")},
	{"ADD a = :n", syntax("=", "a = :n")},
	{"DELETE a", syntax("<EOF>", "a")},
	{"SET set = :n", syntax("set", "SET set =")},
	{"SET remove = :n", syntax("remove", "SET remove =")},

	{"SET " + strings.Repeat("a = b + c, ", 300) + "d = e + f", "The expression contains too many operators; operator count: 301"},
	{"SET a[99999999999] = :s", "List index is not within the allowable range; index: [99999999999]"},
	{"SET a" + strings.Repeat(".a", 32) + " = :s", "The document path has too many nesting levels; nesting levels: 33"},
	{"SET a = ((:n))", parentheses},
	{"SET a = ((b + :n))", parentheses},
	{"SET a = list_append(((b)), :l)", parentheses},
	{"SET size = :n", reserved + "size"},
	{"SET a = and", reserved + "and"},
	{"REMOVE a.Data", reserved + "Data"},
	{"SET a = foo(b)", noFunction + "foo"},
	{"SET a = IF_NOT_EXISTS(a, :n)", noFunction + "IF_NOT_EXISTS"},
	{"SET a = size(b)", "The function is not allowed in an update expression; function: size"},
	{"SET a = attribute_exists(b)", "The function is not allowed in an update expression; function: attribute_exists"},
	{"SET a = :n SET b = :n", `The "SET" section can only be used once in an update expression;`},
	{"REMOVE a SET b = :n remove c", `The "REMOVE" section can only be used once in an update expression;`},
	{"ADD a :n ADD b :n", `The "ADD" section can only be used once in an update expression;`},
	{"DELETE a :ss DELETE b :ss", `The "DELETE" section can only be used once in an update expression;`},
	{"SET #x = :n", noName + "#x"},
	{"SET " + longName + " = :n", noName + longName},
	{"SET a = :x", noValue + ":x"},
	{"ADD a :x", noValue + ":x"},
	{"SET a.b = :n, a = :n", twoOverlap + "path one: [a, b], path two: [a]"},
	{"SET a = :n, #a = :n", twoOverlap + "path one: [a], path two: [a]"},
	{"SET a = :n REMOVE a[0].b", twoOverlap + "path one: [a], path two: [a, [0], b]"},
	{"REMOVE a[0] DELETE a[0] :ss", twoOverlap + "path one: [a, [0]], path two: [a, [0]]"},
	{"SET a.b = :n, a[1] = :n", twoConflict + "path one: [a, b], path two: [a, [1]]"},
	{"SET c.a[0].b = :n REMOVE c.a.b", twoConflict + "path one: [c, a, [0], b], path two: [c, a, b]"},
	{"SET a = :n, a.b = :n, c = :n, c = :n", twoOverlap + "path one: [a], path two: [a, b]"},
	{"ADD a :s", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"},
	{"ADD a :b", "Incorrect operand type for operator or function; operator: ADD, operand type: BINARY"},
	{"ADD a :bool", "Incorrect operand type for operator or function; operator: ADD, operand type: BOOLEAN"},
	{"ADD a :null", "Incorrect operand type for operator or function; operator: ADD, operand type: NULL"},
	{"ADD a :l", "Incorrect operand type for operator or function; operator: ADD, operand type: LIST"},
	{"ADD a :map", "Incorrect operand type for operator or function; operator: ADD, operand type: MAP"},
	{"DELETE a :n", "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER"},
	{"DELETE a :s", "Incorrect operand type for operator or function; operator: DELETE, operand type: STRING"},
	{"SET a = b + :s", operandType + "+, operand type: S"},
	{"SET a = :l - :n", operandType + "-, operand type: L"},
	{"SET a = list_append(:s, b)", operandType + "list_append, operand type: S"},
	{"SET a = list_append(b, :ss)", operandType + "list_append, operand type: SS"},
	{"SET a = if_not_exists(:n, :n)", needsPath + "if_not_exists"},
	{"SET a = if_not_exists(if_not_exists(a, :n), :n)", needsPath + "if_not_exists"},
	{"SET a = if_not_exists(a)", operandTotal + "if_not_exists, number of operands: 1"},
	{"SET a = list_append(a, b, c)", operandTotal + "list_append, number of operands: 3"},
	{"SET a = if_not_exists(a, a)", distinct + "if_not_exists, first operand: [a]"},
	{"SET a = list_append(a, b) + :n", misuse + "list_append"},
	{"SET a = if_not_exists(a, list_append(b, c))", misuse + "list_append"},
	{"SET a = list_append(list_append(a, b), c)", misuse + "list_append"},

	// Priority: reserved word, unknown function, section twice, undefined
	// name, undefined value, overlap, conflict, operand of ADD and DELETE,
	// functions.
	{"SET a = b + :s ADD c :s REMOVE d.e, d[0], a, #x.y SET z = foo(:x), size = :n", reserved + "size"},
	{"SET a = b + :s ADD c :s REMOVE d.e, d[0], a, #x.y SET z = foo(:x)", noFunction + "foo"},
	{"SET a = b + :s ADD c :s REMOVE d.e, d[0], a, #x.y SET z = :x", `The "SET" section can only be used once in an update expression;`},
	{"SET a = b + :x ADD c :s REMOVE d.e, d[0], a, #x.y", noName + "#x"},
	{"SET a = b + :x ADD c :s REMOVE d.e, d[0], a", noValue + ":x"},
	{"SET a = b + :s ADD c :s REMOVE d.e, d[0], a", twoOverlap + "path one: [a], path two: [a]"},
	{"SET a = b + :s ADD c :s REMOVE d.e, d[0]", twoConflict + "path one: [d, e], path two: [d, [0]]"},
	{"SET a = b + :s ADD c :s", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"},
	{"SET a = b + :s, c = if_not_exists(:n, :n)", operandType + "+, operand type: S"},
}

func TestUpdateMessages(t *testing.T) {
	for _, tt := range updateMessages {
		want := tt.want
		if want != "" {
			want = "Invalid UpdateExpression: " + want
		}
		if got := parse(t, UpdateExpression, tt.text, paramsFor(t)); got != want {
			t.Errorf("%.80q\n got %q\nwant %q", tt.text, got, want)
		}
	}
}

var projectionMessages = []struct{ text, want string }{
	{"a", ""},
	{"a, b.c[0], #dotted, and, b.d", "Attribute name is a reserved keyword; reserved keyword: and"},
	{"a, b.c[0], #dotted, b.d", ""},
	{"", "The expression can not be empty;"},
	{"a,", syntax("<EOF>", ",")},
	{"a b", syntax("b", "a b")},
	{"a:s", syntax(":s", "a:s")},
	{",a", syntax(",", ",a")},
	{"_a", syntax("_a", "_a")},
	{"size(a)", syntax("(", "size(a")},
	{"a" + strings.Repeat(".a", 32), "The document path has too many nesting levels; nesting levels: 33"},
	{"a[4294967296]", "List index is not within the allowable range; index: [4294967296]"},
	{"#x", noName + "#x"},
	{"a, a", twoOverlap + "path one: [a], path two: [a]"},
	{"a.b, a", twoOverlap + "path one: [a, b], path two: [a]"},
	{"a.b, #a[0]", twoConflict + "path one: [a, b], path two: [a, [0]]"},
	{"a.b, a[0], c, c, #x, size", reserved + "size"},
	{"a.b, a[0], c, c, #x", noName + "#x"},
	{"a.b, a[0], c, c", twoOverlap + "path one: [c], path two: [c]"},
}

func TestProjectionMessages(t *testing.T) {
	for _, tt := range projectionMessages {
		want := tt.want
		if want != "" {
			want = "Invalid ProjectionExpression: " + want
		}
		if got := parse(t, ProjectionExpression, tt.text, paramsFor(t)); got != want {
			t.Errorf("%.80q\n got %q\nwant %q", tt.text, got, want)
		}
	}
}

var keyConditionMessages = []struct{ text, want string }{
	{"a = :s", ""},
	{":s = a", ""},
	{"a = :s AND b BETWEEN :n AND :m", ""},
	{"b >= :n AND #a = :s", ""},
	{"(a = :s) AND (begins_with(b, :s))", ""},
	{"a = :s AND (b = :s AND (c = :s AND d = :s)) AND e = :s AND f = :s AND g = :s AND h < :s", ""},
	{"a = ", "Invalid KeyConditionExpression: " + syntax("<EOF>", "=")},
	{"a = :x", "Invalid KeyConditionExpression: " + noValue + ":x"},
	{"a = :s AND begins_with(b, :n)", "Invalid KeyConditionExpression: " + operandType + "begins_with, operand type: N"},
	{"a = :s OR b = :s", "Invalid operator used in KeyConditionExpression: OR"},
	{"a = :s AND (b = :s OR b = :t)", "Invalid operator used in KeyConditionExpression: OR"},
	{"NOT a = :s", "Invalid operator used in KeyConditionExpression: NOT"},
	{"a IN (:s)", "Invalid operator used in KeyConditionExpression: IN"},
	{"a <> :s", "Invalid operator used in KeyConditionExpression: <>"},
	{"attribute_exists(a)", "Invalid operator used in KeyConditionExpression: attribute_exists"},
	{"attribute_not_exists(a)", "Invalid operator used in KeyConditionExpression: attribute_not_exists"},
	{"attribute_type(a, :0)", "Invalid operator used in KeyConditionExpression: attribute_type"},
	{"contains(a, :s)", "Invalid operator used in KeyConditionExpression: contains"},
	{"size(a) = :n", "KeyConditionExpressions cannot contain nested operations"},
	{"a = size(:s)", "KeyConditionExpressions cannot contain nested operations"},
	{":n BETWEEN a AND :m", "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand"},
	{"begins_with(:s, a)", "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand"},
	{"a = b", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"},
	{"a BETWEEN b AND :n", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"},
	{"a.b = :s", "KeyConditionExpressions cannot have conditions on nested attributes"},
	{"a[0] = :s", "KeyConditionExpressions cannot have conditions on nested attributes"},
	{":s = :s", "Invalid condition in KeyConditionExpression: No key attribute specified"},
	{"a = :s AND a = :s", "KeyConditionExpressions must only contain one condition per key"},
	{"a = :s AND #a > :s", "KeyConditionExpressions must only contain one condition per key"},
	{"a=:s AND b=:s AND c=:s AND d=:s AND e=:s AND f=:s AND g=:s AND h=:s AND i=:s", "Conditions can be of length 1 or 2 only"},
}

func TestKeyConditionMessages(t *testing.T) {
	for _, tt := range keyConditionMessages {
		if got := parse(t, KeyConditionExpression, tt.text, paramsFor(t)); got != tt.want {
			t.Errorf("%.80q\n got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}
