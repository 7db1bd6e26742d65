package sim

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// An entrance is where the requests of a client enter a node, and how answers leave
// it: at the table operation (tableEntrance), or above the JSON of the edge (edgeEntrance).
// An error is one that no fault excuses.
type entrance interface {
	// single carries out an operation on one key.
	single(o *Operation) (Outcome, *State, error)
	// page reads one page; start is the end of the one before, nil for the first.
	page(q *reading, start any) (*seenPage, Outcome, error)
	// batch writes the operations, each on its own.
	batch(operations []*Operation) ([]answer, error)
}

// A reading is what a query or a scan asks for.
type reading struct {
	hash    string // of a query; "": a scan of the hot keys
	index   string // is queried instead of the table; "": the table
	count   int64  // of index byCount: what is asked for
	value   string // of index byValue
	stale   bool   // eventually consistent
	bound   int    // place in sortBounds
	lower   int
	upper   int
	filter  bool   // say what is wanted by a filter, too
	least   int64  // the filter leaves out what has a smaller count
	only    string // and what has another value; "": none
	reverse bool
	limit   int
	segment int // of a scan, of so many segments; 0 of 0: it is not a parallel one
	of      int
}

// A seenPage is what a page shows.
type seenPage struct {
	rows []seenRow
	next any    // nil: there are no more
	last string // the key of next
}

type seenRow struct {
	key   string
	state *State
}

// filterText adds to a filter what the reading leaves out, with its values.
func (q *reading) filterText(text string, values edgeItem) string {
	and := func(more string) {
		if text != "" {
			text += " AND "
		}
		text += more
	}
	if q.least > 0 {
		values[":least"] = edgeNumber(q.least)
		and("n >= :least")
	}
	if q.only != "" {
		values[":only"] = edgeValue{S: q.only}
		and("v = :only")
	}
	return text
}

// condition parses the filter that consists of a text and what the reading leaves out; nil if there is none.
func (q *reading) condition(text string, values edgeItem) (*expr.Condition, error) {
	parts := edgeItem{}
	maps.Copy(parts, values)
	if text = q.filterText(text, parts); text == "" {
		return nil, nil
	}
	return expr.ParseCondition(expr.FilterExpression, text, expr.NewParams(nil, parts.item()))
}

// bounds returns the values of a query's condition on the sort key, by name.
func (q *reading) bounds() map[string]string {
	values := map[string]string{}
	for name, n := range map[string]int{":l": q.lower, ":u": q.upper} { //sim:ok a map of them
		if strings.Contains(sortBounds[q.bound].text, name) {
			values[name] = fmt.Sprint("s", n)
		}
	}
	return values
}

// A tableEntrance enters a node at the table operation.
type tableEntrance struct{ s *server }

func (e tableEntrance) single(o *Operation) (Outcome, *State, error) { return e.s.execute(o) }

func (e tableEntrance) page(q *reading, start any) (*seenPage, Outcome, error) {
	startKey, _ := start.(item.Item)
	page, err := e.read(q, startKey)
	if err != nil {
		outcome, _, err := e.s.n.run.outcome(nil, err)
		return nil, outcome, err
	}
	if page.Count != len(page.Items) || page.ScannedCount < page.Count || q.limit > 0 && page.ScannedCount > q.limit {
		return nil, Unknown, damaged("a page of %d rows, at most %d, counts %d of %d", len(page.Items), q.limit, page.Count, page.ScannedCount)
	}
	seen := &seenPage{}
	for _, it := range page.Items {
		state, err := q.stateOf(it)
		if err != nil {
			return nil, Unknown, err
		}
		seen.rows = append(seen.rows, seenRow{keyOf(it), state})
	}
	if page.LastKey != nil {
		seen.next, seen.last = page.LastKey, keyOf(page.LastKey)
	}
	return seen, Done, nil
}

func (e tableEntrance) read(q *reading, start item.Item) (*table.Page, error) {
	var filter *expr.Condition
	var err error
	if q.index != "" {
		return e.readIndex(q, start)
	}
	if q.hash == "" {
		if q.filter {
			filter, err = q.condition(hotFilterText())
		} else {
			filter, err = q.condition("", nil)
		}
		if err != nil {
			return nil, err
		}
		return e.s.tables.Scan(&table.ScanRequest{
			Table: tableName, Filter: filter, Consistent: !q.stale, Limit: q.limit, StartKey: start, Segment: q.segment, TotalSegments: q.of,
		})
	}
	values := map[string]item.Value{":p": item.String(q.hash)}
	for name, text := range q.bounds() { //sim:ok a map of them
		values[name] = item.String(text)
	}
	condition, err := expr.ParseKeyCondition("p = :p"+sortBounds[q.bound].text, expr.NewParams(nil, item.NewItem(values)))
	if err == nil {
		text := ""
		if q.filter {
			text = writtenFilter
		}
		filter, err = q.condition(text, edgeItem{})
	}
	if err != nil {
		return nil, err
	}
	return e.s.tables.Query(&table.QueryRequest{
		Table: tableName, Keys: condition, Filter: filter, Consistent: !q.stale, Reverse: q.reverse, Limit: q.limit, StartKey: start,
	})
}

func (e tableEntrance) batch(operations []*Operation) ([]answer, error) {
	t := table.BatchWriteTable{Table: tableName}
	for _, o := range operations {
		if o.Kind == Put {
			t.Writes = append(t.Writes, table.BatchWriteOp{Put: row(o.Key, o)})
		} else {
			t.Writes = append(t.Writes, table.BatchWriteOp{Delete: item.NewItem(keyItem(o.Key))})
		}
	}
	result, err := e.s.tables.BatchWrite(&table.BatchWriteRequest{Tables: []table.BatchWriteTable{t}})
	if err != nil {
		answers, excused := e.s.n.run.same(len(operations), nil, err)
		if !errors.Is(err, vfs.ErrNoSpace) { // some of the writes may have happened
			clear(answers)
		}
		return answers, excused
	}
	var left []string
	for _, u := range result.Tables[0].Unprocessed {
		if u.Put != nil {
			left = append(left, keyOf(u.Put))
		} else {
			left = append(left, keyOf(u.Delete))
		}
	}
	return batchAnswers(operations, left), nil
}

// batchAnswers answers a batch of which the writes of some keys were left over.
func batchAnswers(operations []*Operation, left []string) []answer {
	answers := make([]answer, len(operations))
	for i, o := range operations {
		answers[i].outcome = Done
		for _, key := range left {
			if o.Key == key {
				answers[i].outcome = Failed
			}
		}
	}
	return answers
}
