package server

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var statementSeed = flag.Uint64("statement.seed", 1, "seed of random statements")

// A document is JSON as encoding/json reads it.
type document = map[string]any

// ask sends a request and returns the answer's status and body.
func ask(t testing.TB, h http.Handler, operation string, request document) (int, document) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest(operation, string(body)))
	var answer document
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %s: %v", operation, body, w.Body, err)
	}
	return w.Code, answer
}

// succeed is ask for requests that have to succeed.
func succeed(t testing.TB, h http.Handler, operation string, request document) document {
	t.Helper()
	status, answer := ask(t, h, operation, request)
	if status != http.StatusOK {
		t.Fatalf("%s %v: %v", operation, request, answer)
	}
	return answer
}

// A twin is one condition or update in both languages: as PartiQL and as an
// expression.
type twin struct{ partiql, expression string }

// joined puts twins together as both languages write it.
func joined(format string, parts ...twin) twin {
	left, right := make([]any, len(parts)), make([]any, len(parts))
	for i, t := range parts {
		left[i], right[i] = t.partiql, t.expression
	}
	return twin{fmt.Sprintf(format, left...), fmt.Sprintf(format, right...)}
}

func same(text string) twin { return twin{text, text} }

// A twinner makes random twins. Names and values are few, so that conditions
// often hold.
type twinner struct {
	*rand.Rand
	values document // of expressions, by placeholder
}

func newTwinner(seed uint64) *twinner {
	return &twinner{rand.New(rand.NewPCG(seed, 0)), document{}}
}

func oneOf[T any](g *twinner, list ...T) T { return list[g.IntN(len(list))] }

// constant writes a value as a literal or as a parameter, which is the
// placeholder of the expression behind a question mark until statement
// collects them.
func (g *twinner) constant(v document) twin {
	name := fmt.Sprintf(":v%d", len(g.values))
	g.values[name] = v
	if literal := literalOf(v); literal != "" && g.IntN(2) == 0 {
		return twin{literal, name}
	}
	return twin{"?" + name, name}
}

var marked = regexp.MustCompile(`\?(:v[0-9]+)`)

// statement returns the request for a text of twins.
func (g *twinner) statement(text string) document {
	var parameters []any
	text = marked.ReplaceAllStringFunc(text, func(mark string) string {
		parameters = append(parameters, g.values[mark[1:]])
		return "?"
	})
	r := document{"Statement": text}
	if parameters != nil {
		r["Parameters"] = parameters
	}
	return r
}

// literalOf writes a value as PartiQL does; "" if PartiQL cannot.
func literalOf(v document) string {
	for tag, c := range v {
		switch tag {
		case "S":
			return "'" + c.(string) + "'"
		case "N":
			return c.(string)
		case "BOOL":
			return fmt.Sprint(c)
		case "NULL":
			return "null"
		case "SS":
			return "<<'" + strings.Join(c.([]string), "', '") + "'>>"
		}
	}
	return ""
}

func text(s string) document   { return document{"S": s} }
func number(s string) document { return document{"N": s} }

func (g *twinner) scalar() document {
	return oneOf(g, text("x"), text("y"), text("xy"), text(""), number("0"), number("1"), number("2"), number("1.5"),
		document{"BOOL": true}, document{"NULL": true}, document{"B": "eA=="})
}

func (g *twinner) value() document {
	switch g.IntN(8) {
	case 0, 1:
		return document{"SS": oneOf(g, []string{"x"}, []string{"x", "y"})}
	case 2:
		return document{"L": []any{g.scalar(), g.scalar()}}
	case 3:
		return document{"M": document{"k": g.scalar()}}
	}
	return g.scalar()
}

// attributes returns an item without its key.
func (g *twinner) attributes() document {
	it := document{
		"n": number("7"), "t": document{"SS": []string{"x", "t"}},
		"l": document{"L": []any{number("1")}}, "m": document{"M": document{}},
	}
	for _, name := range []string{"a", "b", "c"} {
		if g.IntN(4) > 0 {
			it[name] = g.value()
		}
	}
	return it
}

func (g *twinner) path() twin { return same(oneOf(g, "a", "b", "c", "a", "b", "c", "a.k", "b[0]")) }

// predicate returns a condition, often on keys.
func (g *twinner) predicate(depth int) twin {
	if depth > 0 && g.IntN(2) == 0 {
		format := oneOf(g, "(%s AND %s)", "(%s AND %s)", "(%s OR %s)", "NOT (%s OR %s)")
		return joined(format, g.predicate(depth-1), g.predicate(depth-1))
	}
	if g.IntN(2) == 0 {
		return g.onKey()
	}
	any := oneOf(g, g.path(), g.path(), same("p"), same("s"))
	switch g.IntN(6) {
	case 0:
		return twin{any.partiql + " IS MISSING", "attribute_not_exists(" + any.expression + ")"}
	case 1:
		return joined("attribute_type(%s, %s)", any, g.constant(text(oneOf(g, "S", "N", "L"))))
	case 2:
		return joined("contains(%s, %s)", any, g.constant(g.scalar()))
	case 3:
		return joined("size(%s) >= %s", any, g.constant(number(oneOf(g, "1", "2"))))
	}
	return joined(oneOf(g, "%s = %s", "%s <> %s"), g.path(), g.constant(g.value()))
}

// onKey returns a condition that a key condition may take over.
func (g *twinner) onKey() twin {
	attr, v, w := "p", text(oneOf(g, "x", "y", "z", "w")), text(oneOf(g, "x", "y", "z", "w"))
	if g.IntN(2) == 0 {
		low := g.IntN(6)
		attr, v, w = "s", number(fmt.Sprint(low)), number(fmt.Sprint(low+g.IntN(4)))
	} else if n := g.IntN(4); n < 2 {
		return joined(oneOf(g, "p = %s", "begins_with(p, %s)"), g.constant(v))
	}
	first, second := g.constant(v), g.constant(w)
	switch n := g.IntN(6); {
	case n == 0:
		return twin{
			joined(attr+" IN [%s, %s]", first, second).partiql,
			joined(attr+" IN (%s, %s)", first, second).expression,
		}
	case n == 1:
		return joined("("+attr+" = %s OR "+attr+" = %s)", first, second)
	case n == 2:
		return joined("(%s < "+attr+" AND "+attr+" <> %s)", first, second)
	case n == 3 && attr == "s":
		return joined("s BETWEEN %s AND %s", first, second)
	}
	return joined("("+attr+oneOf(g, " = ", " >= ", " > ")+"%s AND "+attr+oneOf(g, " <= ", " < ", " = ")+"%s)", first, second)
}

// twinTable makes a table of some item collections, in several partitions.
func twinTable(t *testing.T, h http.Handler, name string, items []document) {
	succeed(t, h, "CreateTable", document{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST",
		"KeySchema":            []any{document{"AttributeName": "p", "KeyType": "HASH"}, document{"AttributeName": "s", "KeyType": "RANGE"}},
		"AttributeDefinitions": []any{document{"AttributeName": "p", "AttributeType": "S"}, document{"AttributeName": "s", "AttributeType": "N"}},
		"Tags":                 []any{document{"Key": "stator:partitions", "Value": "3"}},
	})
	for _, it := range items {
		succeed(t, h, "PutItem", document{"TableName": name, "Item": it})
	}
}

func (g *twinner) items() []document {
	var all []document
	for _, p := range []string{"x", "y", "z", "xy"} {
		for s := range 8 {
			it := g.attributes()
			it["p"], it["s"] = text(p), number(fmt.Sprint(s))
			all = append(all, it)
		}
	}
	return all
}

// sorted returns items as texts in order.
func sorted(t *testing.T, items any) []string {
	var texts []string
	for _, it := range items.([]any) {
		b, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	slices.Sort(texts)
	return texts
}

// selectAll follows the tokens of a SELECT to its end.
func selectAll(t *testing.T, h http.Handler, request document, limit int) any {
	items := []any{}
	for range 1000 {
		if limit > 0 {
			request["Limit"] = limit
		}
		answer := succeed(t, h, "ExecuteStatement", request)
		items = append(items, answer["Items"].([]any)...)
		token, more := answer["NextToken"]
		if !more {
			return items
		}
		request["NextToken"] = token
	}
	t.Fatalf("%v: no end", request)
	return nil
}

// A SELECT finds what a Scan with the same filter finds, whatever queries it
// becomes, in one page or in many.
func TestSelectEqualsScan(t *testing.T) {
	h := openMemory(t).Handler()
	g := newTwinner(*statementSeed)
	twinTable(t, h, "abc", g.items())
	queried, found := 0, 0
	const rounds = 400
	for range rounds {
		g.values = document{}
		where := g.predicate(2)
		switch keys := []twin{g.constant(text("x")), g.constant(text("y"))}; g.IntN(3) {
		case 0:
			where = joined("p = %s AND s <> %s AND %s", keys[0], keys[1], where)
		case 1:
			where = joined("(p = %s OR p = %s) AND %s", keys[0], keys[1], where)
		default:
			where = joined("(a <> %s OR a <> %s) AND %s", keys[0], keys[1], where)
		}
		scan := document{"TableName": "abc", "FilterExpression": where.expression, "ExpressionAttributeValues": g.values}
		want := sorted(t, succeed(t, h, "Scan", scan)["Items"])
		request := g.statement("SELECT * FROM abc WHERE " + where.partiql)
		got := sorted(t, selectAll(t, h, request, oneOf(g, 0, 0, 1, 2, 3, 7)))
		if !slices.Equal(got, want) {
			t.Errorf("-statement.seed %d: WHERE %s with %v\n got %v\nwant %v", *statementSeed, where.partiql, g.values, got, want)
		}
		if status, _ := ask(t, h, "ExecuteStatement", g.statement("SELECT * FROM abc WHERE "+where.partiql+" ORDER BY p, s")); status == http.StatusOK {
			queried++ // else ORDER BY is refused
		}
		found += len(want)
	}
	if queried < rounds/5 || queried > rounds-rounds/5 || found < rounds {
		t.Errorf("%d of %d statements became queries, and %d items were found: not much of a test", queried, rounds, found)
	}
}

// fitting returns an attribute of the type that an action needs; at times,
// any path.
func (g *twinner) fitting(name string) twin {
	if g.IntN(4) == 0 {
		return g.path()
	}
	return same(name)
}

// change returns one action of an update in both languages, without SET or
// what else is in front, and its section in an update expression.
func (g *twinner) change() (section string, action twin) {
	path := same(oneOf(g, "a", "b", "c", "d", "m.k", "l[0]"))
	switch g.IntN(8) {
	case 0:
		return "REMOVE", path
	case 1, 2:
		target, set := g.fitting("t"), g.constant(document{"SS": oneOf(g, []string{"x"}, []string{"x", "z"})})
		section, function := "ADD", "set_add"
		if g.IntN(2) == 0 {
			section, function = "DELETE", "set_delete"
		}
		return section, twin{target.partiql + " = " + function + "(" + target.partiql + ", " + set.partiql + ")", target.expression + " " + set.expression}
	case 3:
		return "SET", joined("%s = "+oneOf(g, "%s + %s", "%s - %s"), path, g.fitting("n"), g.constant(number(oneOf(g, "1", "0.5"))))
	case 4:
		return "SET", joined("%s = list_append(%s, %s)", path, g.fitting("l"), g.constant(document{"L": []any{g.scalar()}}))
	case 5:
		return "SET", joined("%s = if_not_exists(%s, %s)", path, g.path(), g.constant(g.value()))
	case 6:
		return "SET", joined("%s = %s", path, g.fitting("n"))
	}
	return "SET", joined("%s = %s", path, g.constant(g.value()))
}

// update returns some actions in both languages, in the order of the sections
// of an update expression.
func (g *twinner) update() twin {
	sections := map[string][]twin{}
	for range 1 + g.IntN(3) {
		section, action := g.change()
		sections[section] = append(sections[section], action)
	}
	var u twin
	for _, section := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		for i, action := range sections[section] {
			keyword, separator := "SET ", ", "
			if section == "REMOVE" {
				keyword = "REMOVE "
			}
			if i == 0 {
				separator = " " + section + " "
			}
			u.partiql += keyword + action.partiql + " "
			u.expression += separator + action.expression
		}
	}
	return u
}

// message returns the text of an error answer without what expressions have in
// front of it.
func message(answer document) string {
	m, _ := answer["message"].(string)
	m = strings.TrimPrefix(m, "Invalid UpdateExpression: ")
	return strings.TrimPrefix(m, "Invalid ConditionExpression: ")
}

// An UPDATE does what UpdateItem does on the condition that the item exists,
// and answers the same.
func TestUpdateEqualsUpdateItem(t *testing.T) {
	h := openMemory(t).Handler()
	g := newTwinner(*statementSeed)
	items := g.items()
	twinTable(t, h, "lhs", items)
	twinTable(t, h, "rhs", items)
	done := 0
	const rounds = 400
	for range rounds {
		g.values = document{}
		p, s := text(oneOf(g, "x", "y", "z")), number(fmt.Sprint(g.IntN(9)))
		update := g.update()
		condition := "attribute_exists(p)"
		clause := "p = " + literalOf(p) + " AND s = " + literalOf(s)
		if g.IntN(3) == 0 {
			where := g.predicate(1)
			condition += " AND " + where.expression
			clause += " AND " + where.partiql
		}
		returning := oneOf(g, [2]string{"ALL OLD", "ALL_OLD"}, [2]string{"ALL NEW", "ALL_NEW"}, [2]string{"MODIFIED OLD", "UPDATED_OLD"}, [2]string{"MODIFIED NEW", "UPDATED_NEW"})
		request := document{
			"TableName": "rhs", "Key": document{"p": p, "s": s}, "UpdateExpression": update.expression, "ConditionExpression": condition,
			"ReturnValues": returning[1], "ReturnValuesOnConditionCheckFailure": "ALL_OLD", "ReturnConsumedCapacity": "TOTAL",
		}
		if len(g.values) > 0 {
			request["ExpressionAttributeValues"] = g.values
		}
		statement := g.statement("UPDATE lhs " + update.partiql + "WHERE " + clause + " RETURNING " + returning[0] + " *")
		statement["ReturnValuesOnConditionCheckFailure"], statement["ReturnConsumedCapacity"] = "ALL_OLD", "TOTAL"

		leftStatus, left := ask(t, h, "ExecuteStatement", statement)
		rightStatus, right := ask(t, h, "UpdateItem", request)
		what := fmt.Sprintf("-statement.seed %d: %v\n of %v: %v\nwant %v: %v", *statementSeed, statement, request, left, rightStatus, right)
		if leftStatus != rightStatus || left["__type"] != right["__type"] || message(left) != message(right) || !reflect.DeepEqual(left["Item"], right["Item"]) {
			t.Fatal(what)
		}
		if leftStatus != http.StatusOK {
			continue
		}
		done++
		shown := []any{}
		if right["Attributes"] != nil {
			shown = append(shown, right["Attributes"])
		}
		used := func(answer document) any { return answer["ConsumedCapacity"].(document)["CapacityUnits"] }
		if !reflect.DeepEqual(left["Items"], any(shown)) || used(left) != used(right) {
			t.Fatal(what)
		}
	}
	if done < rounds/5 {
		t.Errorf("%d of %d updates were done: not much of a test", done, rounds)
	}
	left := sorted(t, succeed(t, h, "Scan", document{"TableName": "lhs"})["Items"])
	right := sorted(t, succeed(t, h, "Scan", document{"TableName": "rhs"})["Items"])
	if !slices.Equal(left, right) {
		t.Errorf("-statement.seed %d: statements left\n%v, updates\n%v", *statementSeed, left, right)
	}
}

// A DELETE does what DeleteItem does on the condition that there is no item or
// that it meets the rest of the clause, and answers the same.
func TestDeleteEqualsDeleteItem(t *testing.T) {
	h := openMemory(t).Handler()
	g := newTwinner(*statementSeed)
	items := g.items()
	twinTable(t, h, "lhs", items)
	twinTable(t, h, "rhs", items)
	deleted, failed, missing := 0, 0, 0
	for range 100 {
		g.values = document{}
		p, s := text(oneOf(g, "x", "y", "z")), number(fmt.Sprint(g.IntN(9)))
		where := g.predicate(1)
		request := document{
			"TableName": "rhs", "Key": document{"p": p, "s": s}, "ConditionExpression": "attribute_not_exists(p) OR (" + where.expression + ")",
			"ReturnValues": "ALL_OLD", "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
		}
		if strings.HasPrefix(where.expression, "(") { // a second pair would be redundant
			request["ConditionExpression"] = "attribute_not_exists(p) OR " + where.expression
		}
		if len(g.values) > 0 {
			request["ExpressionAttributeValues"] = g.values
		}
		statement := g.statement("DELETE FROM lhs WHERE " + where.partiql + " AND s = " + literalOf(s) + " AND p = " + literalOf(p) + " RETURNING ALL OLD *")
		if strings.Contains(where.partiql, "p = ") || strings.Contains(where.partiql, "s = ") {
			continue // would be the key
		}
		statement["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
		leftStatus, left := ask(t, h, "ExecuteStatement", statement)
		rightStatus, right := ask(t, h, "DeleteItem", request)
		shown := []any{}
		if right["Attributes"] != nil {
			shown = append(shown, right["Attributes"])
		}
		same := leftStatus == rightStatus && left["__type"] == right["__type"] && reflect.DeepEqual(left["Item"], right["Item"])
		if same && leftStatus == http.StatusOK {
			same = reflect.DeepEqual(left["Items"], any(shown))
		}
		if !same {
			t.Fatalf("-statement.seed %d: %v\n of %v: %v\nwant %v: %v", *statementSeed, statement, request, left, rightStatus, right)
		}
		switch {
		case leftStatus != http.StatusOK:
			failed++
		case len(shown) == 0:
			missing++
		default:
			deleted++
		}
	}
	if min(deleted, failed, missing) < 5 {
		t.Errorf("%d deleted, %d failed, %d missing: not much of a test", deleted, failed, missing)
	}
	left := sorted(t, succeed(t, h, "Scan", document{"TableName": "lhs"})["Items"])
	right := sorted(t, succeed(t, h, "Scan", document{"TableName": "rhs"})["Items"])
	if !slices.Equal(left, right) {
		t.Errorf("-statement.seed %d: statements left\n%v, deletes\n%v", *statementSeed, left, right)
	}
}

// A page reads about a megabyte, also over several queries.
func TestStatementPageSize(t *testing.T) {
	h := openMemory(t).Handler()
	twinTable(t, h, "abc", nil)
	var keys []string
	for i := range 30 {
		p := fmt.Sprintf("k%02d", i)
		keys = append(keys, "'"+p+"'")
		succeed(t, h, "PutItem", document{"TableName": "abc", "Item": document{
			"p": text(p), "s": number("1"), "big": text(strings.Repeat("x", 100_000)),
		}})
	}
	request := document{"Statement": "SELECT p FROM abc WHERE p IN [" + strings.Join(keys, ",") + "]", "ConsistentRead": true}
	var pages []int
	for range 10 {
		answer := succeed(t, h, "ExecuteStatement", request)
		pages = append(pages, len(answer["Items"].([]any)))
		if answer["NextToken"] == nil {
			break
		}
		request["NextToken"] = answer["NextToken"]
	}
	if want := []int{11, 11, 8}; !slices.Equal(pages, want) {
		t.Errorf("got pages of %d items, want %d", pages, want)
	}
}

// The answer tells the key of the item where it stopped, also where queries
// for single items do not tell it.
func TestLastEvaluatedKeyOfSingleItems(t *testing.T) {
	h := openMemory(t).Handler()
	succeed(t, h, "CreateTable", document{
		"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema":            []any{document{"AttributeName": "p", "KeyType": "HASH"}},
		"AttributeDefinitions": []any{document{"AttributeName": "p", "AttributeType": "S"}},
	})
	for _, p := range []string{"x", "y"} {
		succeed(t, h, "ExecuteStatement", document{"Statement": "INSERT INTO abc VALUE {'p': '" + p + "'}"})
	}
	request := document{"Statement": "SELECT * FROM abc WHERE p IN ['x', 'none', 'y']", "Limit": 1}
	answer := succeed(t, h, "ExecuteStatement", request)
	if want := (document{"p": map[string]any{"S": "x"}}); !reflect.DeepEqual(answer["LastEvaluatedKey"], any(want)) {
		t.Errorf("got %v, want %v", answer["LastEvaluatedKey"], want)
	}
	request["NextToken"] = answer["NextToken"]
	answer = succeed(t, h, "ExecuteStatement", request)
	if len(answer["Items"].([]any)) != 1 || answer["NextToken"] != nil {
		t.Errorf("got %v, want the last item", answer)
	}
}

// A SELECT from a global index with a key of four attributes: what the WHERE
// clause says of them makes queries, as far as it goes.
func TestSelectFromGlobalIndex(t *testing.T) {
	h := openMemory(t).Handler()
	attribute := func(name, typ string) any { return document{"AttributeName": name, "AttributeType": typ} }
	key := func(name, role string) any { return document{"AttributeName": name, "KeyType": role} }
	succeed(t, h, "CreateTable", document{
		"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
		"KeySchema":            []any{key("p", "HASH")},
		"AttributeDefinitions": []any{attribute("p", "S"), attribute("h", "S"), attribute("i", "N"), attribute("r", "S"), attribute("q", "N")},
		"GlobalSecondaryIndexes": []any{document{
			"IndexName":  "four",
			"KeySchema":  []any{key("h", "HASH"), key("i", "HASH"), key("r", "RANGE"), key("q", "RANGE")},
			"Projection": document{"ProjectionType": "INCLUDE", "NonKeyAttributes": []any{"m"}},
		}},
	})
	const items = 2 * 2 * 2 * 3
	for n := range items {
		h1, i, r, q := n%2, n/2%2, n/4%2, n/8
		succeed(t, h, "ExecuteStatement", document{"Statement": fmt.Sprintf(
			"INSERT INTO abc VALUE {'p': 'p%02d', 'h': 'h%d', 'i': %d, 'r': 'r%d', 'q': %d, 'm': {'k': %d}, 'other': 1}", n, h1, i, r, q, n)})
	}
	for len(succeed(t, h, "ExecuteStatement", document{"Statement": "SELECT * FROM abc.four"})["Items"].([]any)) < items {
		runtime.Gosched() // the index follows the table
	}
	for _, tt := range []struct {
		queried bool // else scanned
		where   string
		want    string // n of the items, in order
	}{
		{true, "h = 'h1' AND i = 0", "[1 9 17 5 13 21]"},
		{true, "h = 'h1' AND i = 0 AND r = 'r1' AND q >= 1", "[13 21]"},
		{true, "h = 'h1' AND i = 0 AND q = 1", "[9 13]"},
		{true, "h = 'h1' AND i = 0 AND r = 'r0' ORDER BY r DESC, q DESC", "[17 9 1]"},
		{true, "h IN ['h1', 'h0'] AND (i = 0 OR i = 1) AND r = 'r0' AND q = 2", "[17 19 16 18]"},
		{true, "h IN ['h1', 'h0'] AND i IN [0, 1] AND r = 'r0' AND q = 2 ORDER BY i DESC, h", "[18 19 16 17]"},
		{false, "h = 'h1' AND i >= 1 AND q = 0 AND m.k > 4", "[7]"},
	} {
		answer := succeed(t, h, "ExecuteStatement", document{"Statement": `SELECT m.k FROM abc."four" WHERE ` + tt.where, "ReturnConsumedCapacity": "INDEXES"})
		var got []string
		for _, it := range answer["Items"].([]any) {
			got = append(got, it.(document)["k"].(document)["N"].(string))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: got %v, want %s", tt.where, got, tt.want)
		}
		if used := answer["ConsumedCapacity"].(document)["GlobalSecondaryIndexes"]; used == nil {
			t.Errorf("%s: no capacity of the index: %v", tt.where, answer)
		}
		if !strings.Contains(tt.where, "ORDER") { // which only queries can follow
			status, _ := ask(t, h, "ExecuteStatement", document{"Statement": "SELECT * FROM abc.four WHERE " + tt.where + " ORDER BY h, i, r, q"})
			if queried := status == http.StatusOK; queried != tt.queried {
				t.Errorf("%s: queried %v, want %v", tt.where, queried, tt.queried)
			}
		}
	}
	for statement, want := range map[string]string{
		"SELECT other FROM abc.four WHERE h = 'h1' AND i = 0": "One or more parameter values were invalid: Global secondary index four does not project [other]",
		"SELECT * FROM abc.four WHERE h = 1 AND i = 0":        "One or more parameter values were invalid: Condition parameter type does not match schema type",
	} {
		if _, answer := ask(t, h, "ExecuteStatement", document{"Statement": statement}); answer["message"] != want {
			t.Errorf("%s: got %v, want %s", statement, answer, want)
		}
	}
	_, answer := ask(t, h, "ExecuteStatement", document{"Statement": "SELECT * FROM abc.four", "ConsistentRead": true})
	if want := "Consistent reads are not supported on global secondary indexes"; answer["message"] != want {
		t.Errorf("got %v, want %s", answer, want)
	}
}
