package sim

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// A grammarian sends requests made from the grammar, one after the other, to
// a table of its own, and compares what comes back with the reference. Where an
// answer does not come, the request may still be carried out at any later time, so it
// leaves the item alone from then on and takes another.
type grammarian struct {
	run   *run
	gen   refGenerator
	ready bool
	items map[string]refItem // what each key holds; nil = no item
	spent [grammarKeys]int   // items that were left alone
}

const (
	grammarTable = "grammar"
	grammarKeys  = 3
	grammarPause = 10 * time.Millisecond // mean, between requests
)

// A grammarRequest is a request and what it does according to the reference.
type grammarRequest struct {
	text string
	send func(s *server) (item.Item, error)
	// does returns the state after the request and what it answers with, or that
	// it is refused.
	does func(old refItem) (after, answer refItem, refusal string)
}

// The refusals that the reference knows.
const (
	refusedCondition = "condition"
	refusedInvalid   = "invalid"
)

func (g *grammarian) step() {
	if !g.ready {
		g.create()
		return
	}
	n := g.gen.IntN(grammarKeys)
	key := fmt.Sprintf("%d.%d", n, g.spent[n])
	q := g.request(key)
	var got item.Item
	answered, err := g.run.ask("grammar", g.gen.Rand, func(s *server) (err error) {
		got, err = q.send(s)
		return err
	})
	refusal, known := refusalOf(err)
	switch {
	case errors.Is(err, errNobody):
	case !answered || !known:
		if err != nil && !g.run.excused(err) {
			g.run.fail(found(Unexpected, fmt.Errorf("sim: unexpected error: %s of item %s: %w", q.text, key, err)))
		}
		g.spent[n]++
	default:
		g.compare(key, q, got, refusal, err)
	}
}

func (g *grammarian) create() {
	answered, err := g.run.ask("create grammar", g.gen.Rand, func(s *server) error {
		_, err := s.tables.Create(table.Definition{
			Name: grammarTable, BillingMode: "PAY_PER_REQUEST",
			Attributes: []table.AttributeDefinition{{Name: "p", Type: item.S}},
			Keys:       []table.KeyElement{{Name: "p", Role: table.Hash}},
		})
		var exists *table.InUseError
		if errors.As(err, &exists) {
			return nil
		}
		return err
	})
	g.ready = answered && err == nil
	g.run.judge(err)
}

// refusalOf translates an error into the reference's terms; known is false if the
// outcome is not known.
func refusalOf(err error) (refusal string, known bool) {
	var condition *table.ConditionFailedError
	var invalid *table.ValidationError
	switch {
	case err == nil:
		return "", true
	case errors.As(err, &condition):
		return refusedCondition, true
	case errors.As(err, &invalid):
		return refusedInvalid, true
	}
	return "", false
}

// compare compares an answer with what the reference says.
func (g *grammarian) compare(key string, q *grammarRequest, got item.Item, refusal string, err error) {
	old := g.items[key]
	after, answer, wantRefusal := q.does(old)
	isShown := refusal != "" || (got == nil) == (answer == nil) && (got == nil || string(got.AppendJSON(nil)) == refItemJSON(answer))
	if wantRefusal != refusal || !isShown {
		g.run.fail(found(Reference, fmt.Errorf("sim: %s of item %s answered %s (%v), the reference %s%s for the item %s",
			q.text, key, got.AppendJSON(nil), err, wantRefusal, refItemJSON(answer), refItemJSON(old))))
	}
	if refusal == "" {
		g.items[key] = after
	}
}

// request draws a request about a key.
func (g *grammarian) request(key string) *grammarRequest {
	if g.gen.IntN(4) == 0 {
		return getRequest(key)
	}
	var condition *refCondition
	if g.gen.IntN(3) > 0 {
		condition = g.gen.condition(2)
	}
	switch g.gen.IntN(5) {
	case 0:
		return deleteRequest(key, condition)
	case 1, 2:
		it := g.gen.item()
		it["p"] = key
		return putRequest(it, condition)
	}
	return updateRequest(key, condition, g.gen.actions(), g.gen.IntN(2) == 0)
}

func getRequest(key string) *grammarRequest {
	return &grammarRequest{
		text: "get",
		send: func(s *server) (item.Item, error) {
			r, err := s.tables.Get(&table.GetRequest{Table: grammarTable, Key: expiringKey(key), Consistent: true})
			if err != nil {
				return nil, err
			}
			return r.Item, nil
		},
		does: func(old refItem) (after, answer refItem, refusal string) { return old, old, "" },
	}
}

// parseRef parses what the reference has rendered; a nil condition has no text.
func parseRef(condition *refCondition, text string, values map[string]any) (*expr.Condition, error) {
	if condition == nil {
		return nil, nil
	}
	return expr.ParseCondition(expr.ConditionExpression, text, refParams(text, values))
}

func renderRef(condition *refCondition, values map[string]any) string {
	if condition == nil {
		return ""
	}
	return condition.text(values)
}

func putRequest(it refItem, condition *refCondition) *grammarRequest {
	values := map[string]any{}
	text := renderRef(condition, values)
	return &grammarRequest{
		text: fmt.Sprintf("put %s if %q %s", refItemJSON(it), text, refItemJSON(values)),
		send: func(s *server) (item.Item, error) {
			c, err := parseRef(condition, text, values)
			if err != nil {
				return nil, err
			}
			return attributes(s.tables.Put(&table.PutRequest{Table: grammarTable, Item: refToItem(it), Condition: c, Return: table.AllOld}))
		},
		does: func(old refItem) (after, answer refItem, refusal string) {
			if condition != nil && !condition.holds(old) {
				return old, nil, refusedCondition
			}
			return it, old, ""
		},
	}
}

func deleteRequest(key string, condition *refCondition) *grammarRequest {
	values := map[string]any{}
	text := renderRef(condition, values)
	return &grammarRequest{
		text: fmt.Sprintf("delete if %q %s", text, refItemJSON(values)),
		send: func(s *server) (item.Item, error) {
			c, err := parseRef(condition, text, values)
			if err != nil {
				return nil, err
			}
			return attributes(s.tables.DeleteItem(&table.DeleteRequest{Table: grammarTable, Key: expiringKey(key), Condition: c, Return: table.AllOld}))
		},
		does: func(old refItem) (after, answer refItem, refusal string) {
			if condition != nil && !condition.holds(old) {
				return old, nil, refusedCondition
			}
			return nil, old, ""
		},
	}
}

func updateRequest(key string, condition *refCondition, actions []refAction, returnNew bool) *grammarRequest {
	values := map[string]any{}
	text := refUpdateText(actions, values)
	conditionText := renderRef(condition, values)
	show := table.AllOld
	if returnNew {
		show = table.AllNew
	}
	return &grammarRequest{
		text: fmt.Sprintf("update %q if %q %s", text, conditionText, refItemJSON(values)),
		send: func(s *server) (item.Item, error) {
			c, err := parseRef(condition, conditionText, values)
			if err != nil {
				return nil, err
			}
			u, err := expr.ParseUpdate(text, refParams(text, values))
			if err != nil {
				return nil, err
			}
			return attributes(s.tables.UpdateItem(&table.UpdateRequest{
				Table: grammarTable, Key: expiringKey(key), Update: u, Condition: c, Return: show,
			}))
		},
		does: func(old refItem) (after, answer refItem, refusal string) {
			if condition != nil && !condition.holds(old) {
				return old, nil, refusedCondition
			}
			after, ok := refUpdate(old, actions)
			if !ok {
				return old, nil, refusedInvalid
			}
			if after["p"] = key; returnNew {
				return after, after, ""
			}
			return after, old, ""
		},
	}
}

func refToItem(it refItem) item.Item {
	s := jsonscan.New([]byte(refItemJSON(it)))
	parsed, err := item.ParseItem(&s, nil)
	if err != nil {
		panic(fmt.Sprintf("sim: the reference made an item that is none: %v", err))
	}
	return parsed
}

// refParams defines the names and values that occur in an expression.
func refParams(text string, values map[string]any) *expr.Params {
	names := map[string]string{}
	for _, name := range refNames {
		if strings.Contains(text, "#"+name) {
			names["#"+name] = name
		}
	}
	if len(values) == 0 {
		return expr.NewParams(names, nil)
	}
	return expr.NewParams(names, refToItem(maps.Clone(values)))
}
