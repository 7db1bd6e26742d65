package sim

import (
	"fmt"
	"strconv"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// Reads of indexes while clients write. What they show is held to this:
//
//	local     it is part of its item's batch, so a consistent query of a hash shows all rows of
//	          that, each as a consistent get would; an eventually consistent one, as a weak get.
//	          This is so for one page: rows are in the order of what clients write
//	byCount   each entry is an item as some write left it, applied before the answer, with the
//	          number that was asked for. How old it may be is promised to nobody; in the end,
//	          when all faults are over, the index must be what its table says (mirror.go)
//	byValue   the same, but entries have no more than the value

// index queries one of the table's indexes.
func (c *client) index(o *Op) {
	q := &reading{index: o.Index, hash: o.Key, count: o.Count, stale: o.Stale || o.Index != "local", reverse: o.Reverse, limit: o.Limit}
	switch o.Index {
	case "local":
		if c.run.plan.Knobs.Page > 0 {
			return
		}
		q.limit = 0 // a write between two pages moves its row, which may come twice then, or not at all
		var keys []string
		for s := range hotRanges {
			keys = append(keys, fmt.Sprintf("%s/s%d", o.Key, s))
		}
		c.pages("index", q, keys)
		return
	case "byValue":
		if q.value = c.knows[o.Key]; q.value == "" {
			return
		}
	}
	c.send("index", nil, func(e entrance) ([]answer, error) { return nil, c.entries(e, q) })
}

// entries reads all pages of a query of a global index, and takes note of what they show.
func (c *client) entries(e entrance, q *reading) error {
	shown := map[string]bool{}
	for start := any(nil); ; {
		page, outcome, err := e.page(q, start)
		if err != nil || outcome != Done {
			return err
		}
		for _, row := range page.rows {
			if shown[row.key] {
				return damaged("index %s shows %s twice in one query", q.index, row.key)
			}
			shown[row.key] = true
			if err := c.run.seeEntry(q, row); err != nil {
				return err
			}
		}
		if start = page.next; start == nil {
			return nil
		}
	}
}

// seeEntry judges an entry of a global index.
func (r *run) seeEntry(q *reading, row seenRow) error {
	known := r.history.knows(row.key)
	switch {
	case q.index == "byCount" && row.state.Count != q.count, q.index == "byValue" && row.state.Value != q.value:
		return found(Mirror, fmt.Errorf("sim: index %s was asked for %d, %q and shows %s of %s", q.index, q.count, q.value, row.state, row.key))
	case !known: // a probe
	case q.index == "byValue":
		if !r.history.wrote(row.key, row.state.Value) {
			return found(Mirror, fmt.Errorf("sim: index %s shows %s at %s, which nobody has written there", q.index, row.state.Value, row.key))
		}
	default:
		o := &Operation{Client: r.newID(), Key: row.key, Kind: Get, Stale: true, Served: "index " + q.index}
		r.history.Begin(o)
		r.history.End(o, Done, row.state)
	}
	r.indexed++
	return nil
}

// knows reports whether a client has asked for the key.
func (h *History) knows(key string) bool { return h.keys[key] }

// wrote reports whether somebody has sent a write of the value to the key.
func (h *History) wrote(key, value string) bool {
	for _, o := range h.Operations {
		if o.Key == key && o.Value == value && (o.Kind == Put || o.Kind == Add) {
			return true
		}
	}
	return false
}

// indexCondition returns the key condition of a query of an index, and its values.
func (q *reading) indexCondition() (text string, values edgeItem) {
	switch q.index {
	case "byCount":
		return "n = :n", edgeItem{":n": {N: strconv.FormatInt(q.count, 10)}}
	case "byValue":
		return "v = :v", edgeItem{":v": {S: q.value}}
	}
	return "p = :p", edgeItem{":p": {S: q.hash}}
}

func (e tableEntrance) readIndex(q *reading, start item.Item) (*table.Page, error) {
	text, parts := q.indexCondition()
	values := map[string]item.Value{}
	for name, v := range parts { //sim:ok a map of them
		if values[name] = item.String(v.S); v.N != "" {
			values[name] = number(q.count)
		}
	}
	condition, err := expr.ParseKeyCondition(text, expr.NewParams(nil, item.NewItem(values)))
	if err != nil {
		return nil, err
	}
	return e.s.tables.Query(&table.QueryRequest{
		Table: tableName, Index: q.index, Keys: condition, Consistent: !q.stale, Reverse: q.reverse, Limit: q.limit, StartKey: start,
	})
}

// stateOf decodes a row. Entries of byValue have no more than keys.
func (q *reading) stateOf(it item.Item) (*State, error) {
	if q.index != "byValue" {
		return stateOf(it)
	}
	v, ok := it.Get("v")
	if _, more := it.Get("filler"); !ok || more {
		return nil, damaged("index %s shows %s", q.index, it.AppendJSON(nil))
	}
	return &State{Exists: true, Value: string(v.Bytes())}, nil
}

func (q *reading) edgeState(it edgeItem) (*State, error) {
	if q.index != "byValue" {
		return it.state()
	}
	if len(it) != 3 || it["v"].S == "" {
		return nil, damaged("the edge answered with %.300v", it)
	}
	return &State{Exists: true, Value: it["v"].S}, nil
}
