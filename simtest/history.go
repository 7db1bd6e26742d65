package simtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/server"
	"github.com/statordb/stator/sim"
	"github.com/statordb/stator/table"
)

// A history is what the calls of a test did to each item. It is used by tasks of the
// world's clients, and so by one at a time.
type history struct {
	now    int64 // places in the history, of begins and answers
	lives  map[tableName]*life
	items  map[itemName]*itemHistory
	order  []itemName
	tokens map[string]*noted // transactions under way or done, by caller, token and parameters

	requests map[partition.RequestID]bool // that were applied
	accepted map[participant][]accepted   // actions of transactions under way

	proved, searched int // items, by check
}

// A tableName says which table of which caller.
type tableName struct {
	who  server.Caller
	name string
}

// A life is that of one table, from its creation to its deletion.
type life struct {
	tableName
	keys      []string // names of the key attributes
	unchecked string   // why it is left out; "": it is not
}

// An itemName says which item. key is its key as JSON, the names in order.
type itemName struct {
	life *life
	key  string
}

type itemHistory struct {
	operations []*operation
	open       []*operation   // writes of which nobody has been told that they were done
	commits    [][]*operation // for each write, in the order in which they were applied: those that it may be
	written    bool
}

// A noted is a call and the operations that it amounts to.
type noted struct {
	call       int64
	parsed     any
	operations []*operation // of writes and gets, from the begin
	lives      map[string]*life
	repeats    *noted // the first call with the same token

	// Of a transaction that may be repeated under its token:
	underWay int  // calls
	doubt    bool // of one of these nobody knows what it came to
}

func newHistory() *history {
	return &history{
		lives: map[tableName]*life{}, items: map[itemName]*itemHistory{}, tokens: map[string]*noted{},
		requests: map[partition.RequestID]bool{}, accepted: map[participant][]accepted{},
	}
}

// begin notes a call.
func (h *history) begin(r *request) *noted {
	h.now++
	n := &noted{call: h.now, parsed: server.Parse(r.operation, r.body), lives: map[string]*life{}}
	if n.parsed == nil {
		h.control(r)
		return n
	}
	switch p := n.parsed.(type) {
	case *table.GetRequest:
		if p.Consistent {
			h.add(r, n, p.Table, &operation{kind: get, key: p.Key, projection: p.Projection})
		}
	case *table.PutRequest:
		h.add(r, n, p.Table, &operation{kind: put, key: p.Item, put: p.Item, condition: p.Condition, shows: p.Return})
	case *table.DeleteRequest:
		h.add(r, n, p.Table, &operation{kind: remove, key: p.Key, condition: p.Condition, shows: p.Return})
	case *table.UpdateRequest:
		h.add(r, n, p.Table, &operation{kind: update, key: p.Key, update: p.Update, condition: p.Condition, shows: p.Return})
	case *table.BatchGetRequest:
		for _, t := range p.Tables {
			for _, key := range t.Keys {
				if t.Consistent && t.Projection == nil {
					h.add(r, n, t.Table, &operation{kind: get, key: key, name: t.Table})
				}
			}
		}
	case *table.BatchWriteRequest:
		for _, t := range p.Tables {
			for _, w := range t.Writes {
				o := &operation{kind: put, key: w.Put, put: w.Put, name: t.Table}
				if w.Put == nil {
					o = &operation{kind: remove, key: w.Delete, name: t.Table}
				}
				h.add(r, n, t.Table, o)
			}
		}
	case *table.QueryRequest:
		h.life(r, n, p.Table)
	case *table.ScanRequest:
		h.life(r, n, p.Table)
	case *table.TransactGetRequest:
		for _, t := range p.Items {
			h.add(r, n, t.Table, &operation{kind: get, key: t.Key, projection: t.Projection})
		}
	case *table.TransactWriteRequest:
		h.transact(r, n, p)
	}
	return n
}

// transact notes the actions of a transaction; of one that is repeated under its token,
// nothing new. With other parameters it is another one, which the service refuses if the first has happened.
func (h *history) transact(r *request, n *noted, p *table.TransactWriteRequest) {
	if p.Token != "" {
		token := r.who.Account + " " + p.Token
		for _, a := range p.Actions {
			token += fmt.Sprintf(" %d %s %s", a.Kind, a.Table, wants(0, a.Item, a.Condition, a.Update))
		}
		if n.repeats = h.tokens[token]; n.repeats != nil {
			n.repeats.underWay++
			return
		}
		h.tokens[token] = n
	}
	n.underWay++
	for _, a := range p.Actions {
		o := &operation{key: a.Item, condition: a.Condition, update: a.Update}
		switch a.Kind {
		case table.TransactPut:
			o.kind, o.put = put, a.Item
		case table.TransactDelete:
			o.kind = remove
		case table.TransactUpdate:
			o.kind = update
		case table.TransactCheck:
			o.kind = get // of which only the condition is told
		}
		h.add(r, n, a.Table, o)
	}
}

// life returns the table that a name means to a caller, nil if nothing is known of it.
func (h *history) life(r *request, n *noted, name string) *life {
	plain := name[strings.LastIndexByte(name, '/')+1:] // of an ARN
	l := h.lives[tableName{r.who, plain}]
	n.lives[name] = l
	return l
}

// add notes an operation on an item.
func (h *history) add(r *request, n *noted, name string, o *operation) {
	l := h.life(r, n, name)
	if l == nil {
		return
	}
	o.begun, o.what = n.call, r.operation
	h.place(l, o)
	n.operations = append(n.operations, o)
}

// place gives an operation its item.
func (h *history) place(l *life, o *operation) {
	key, ok := l.keyOf(o.key)
	if !ok {
		return // the service refuses it
	}
	o.key = key
	name := itemName{l, string(key.AppendJSON(nil))}
	it := h.items[name]
	if it == nil {
		it = &itemHistory{}
		h.items[name] = it
		h.order = append(h.order, name)
	}
	o.of = it
	it.operations = append(it.operations, o)
	if o.kind != get {
		it.open = append(it.open, o)
		it.written = true
	}
}

// keyOf returns the key of an item or key.
func (l *life) keyOf(it item.Item) (key item.Item, ok bool) {
	values := map[string]item.Value{}
	for _, name := range l.keys {
		v, ok := it.Get(name)
		if !ok {
			return nil, false
		}
		values[name] = v
	}
	return item.NewItem(values), true
}

// control notes an operation on tables, and what else changes items.
func (h *history) control(r *request) {
	var body struct {
		TableName string
		KeySchema []struct{ AttributeName string }
	}
	if json.Unmarshal(r.body, &body) != nil {
		return
	}
	name := tableName{r.who, body.TableName[strings.LastIndexByte(body.TableName, '/')+1:]}
	switch r.operation {
	case "CreateTable":
		l := &life{tableName: name}
		for _, k := range body.KeySchema {
			l.keys = append(l.keys, k.AttributeName)
		}
		if old := h.lives[name]; old == nil || old.unchecked == deleted {
			h.lives[name] = l
		}
	case "DeleteTable":
		h.leaveOut(h.lives[name], deleted)
	case "UpdateTimeToLive":
		h.leaveOut(h.lives[name], "it has a time to live")
	case "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction":
		text := strings.ToUpper(string(r.body))
		for _, verb := range []string{"INSERT", "UPDATE", "DELETE"} {
			if strings.Contains(text, verb) {
				for _, l := range h.lives { //sim:ok all of them
					h.leaveOut(l, "statements have written to tables")
				}
			}
		}
	}
}

const deleted = "it was deleted"

func (h *history) leaveOut(l *life, why string) {
	if l != nil && l.unchecked == "" {
		l.unchecked = why
	}
}

// An answer is what of the service's answers matters here.
type answer struct {
	Type       string `json:"__type"`
	Item       json.RawMessage
	Attributes json.RawMessage
	Items      []json.RawMessage
	Responses  json.RawMessage

	UnprocessedItems map[string][]struct {
		PutRequest    *struct{ Item json.RawMessage }
		DeleteRequest *struct{ Key json.RawMessage }
	}
	UnprocessedKeys map[string]struct{ Keys []json.RawMessage }
}

// end notes what became of a call.
func (h *history) end(n *noted, r *request) {
	h.now++
	var a answer
	if len(r.answer) > 0 && r.err == nil {
		if err := json.Unmarshal(r.answer, &a); err != nil {
			r.err = fmt.Errorf("simtest: the answer to %s is not JSON: %w", r.operation, err)
		}
	}
	if n.repeats != nil {
		n = n.repeats
	}
	outcome := outcomeOf(n, r, &a)
	if _, ok := n.parsed.(*table.TransactWriteRequest); ok {
		n.underWay--
		n.doubt = n.doubt || outcome == unknown
		if outcome == failed && (n.doubt || n.underWay > 0) {
			outcome = unknown // another one may have happened, or will
		}
	}
	for _, o := range n.operations {
		if o.outcome == done {
			continue // it is a repetition
		}
		if o.outcome = outcome; outcome != unknown {
			o.ended = h.now
		} else {
			o.ended = 0
		}
	}
	switch {
	case outcome == refused && len(n.operations) == 1:
		if it, ok := parse(a.Item); ok && it != nil {
			n.operations[0].saw, n.operations[0].seen = it, true
		}
	case outcome == done:
		h.see(n, &a)
	}
}

func outcomeOf(n *noted, r *request, a *answer) outcome {
	_, typ, _ := strings.Cut(a.Type, "#")
	switch {
	case errors.Is(r.err, sim.ErrRefused):
		return failed
	case r.err != nil:
		return unknown
	case r.status == http.StatusOK:
		return done
	case r.status == http.StatusServiceUnavailable && len(n.operations) == 1:
		return failed // see server.translate: nothing has happened
	case r.status >= http.StatusInternalServerError, typ == "TransactionInProgressException":
		return unknown
	case typ == "ConditionalCheckFailedException":
		return refused
	}
	return failed
}

// parse returns the item of JSON; a missing one is nil.
func parse(text json.RawMessage) (it item.Item, ok bool) {
	if len(text) == 0 {
		return nil, true
	}
	s := jsonscan.New(text)
	it, err := item.ParseItem(&s, nil)
	return it, err == nil
}

// see notes what an answer shows.
func (h *history) see(n *noted, a *answer) {
	switch p := n.parsed.(type) {
	case *table.GetRequest:
		n.show(0, a.Item)
	case *table.PutRequest, *table.DeleteRequest, *table.UpdateRequest:
		n.show(0, a.Attributes)
	case *table.TransactGetRequest:
		var list []struct{ Item json.RawMessage }
		if json.Unmarshal(a.Responses, &list) == nil && len(list) == len(n.operations) {
			for i := range list {
				n.show(i, list[i].Item)
			}
		}
	case *table.BatchGetRequest:
		h.seeBatch(n, a)
	case *table.BatchWriteRequest:
		for name, left := range a.UnprocessedItems { //sim:ok each by itself
			for _, w := range left {
				text := json.RawMessage(nil)
				if w.PutRequest != nil {
					text = w.PutRequest.Item
				} else if w.DeleteRequest != nil {
					text = w.DeleteRequest.Key
				}
				n.leave(name, text)
			}
		}
	case *table.QueryRequest:
		if p.Consistent && p.Index == "" && p.Projection == nil && p.Select != "COUNT" {
			h.seeRows(n, p.Table, a.Items)
		}
	case *table.ScanRequest:
		if p.Consistent && p.Index == "" && p.Projection == nil && p.Select != "COUNT" {
			h.seeRows(n, p.Table, a.Items)
		}
	}
}

// show notes what an answer shows of operation i.
func (n *noted) show(i int, text json.RawMessage) {
	if i >= len(n.operations) {
		return
	}
	o := n.operations[i]
	o.saw, o.seen = parse(text)
}

// leave notes that an element of a batch was not carried out.
func (n *noted) leave(name string, text json.RawMessage) {
	it, ok := parse(text)
	l := n.lives[name]
	if !ok || l == nil {
		return
	}
	key, _ := l.keyOf(it)
	for _, o := range n.operations {
		if o.name == name && o.key.Equal(key) {
			o.outcome = failed
		}
	}
}

func (h *history) seeBatch(n *noted, a *answer) {
	var tables map[string][]json.RawMessage
	if json.Unmarshal(a.Responses, &tables) != nil {
		return
	}
	for _, o := range n.operations {
		o.seen = true // missing, if it does not come
		for _, text := range tables[o.name] {
			it, ok := parse(text)
			key, has := n.lives[o.name].keyOf(it)
			if ok && has && key.Equal(o.key) {
				o.saw = it
			}
		}
	}
	for name, left := range a.UnprocessedKeys { //sim:ok each by itself
		for _, text := range left.Keys {
			n.leave(name, text)
		}
	}
}

// seeRows notes each row of a page as a read.
func (h *history) seeRows(n *noted, name string, rows []json.RawMessage) {
	l := n.lives[name]
	for _, text := range rows {
		it, ok := parse(text)
		if l == nil || !ok {
			continue
		}
		o := &operation{kind: get, key: it, begun: n.call, ended: h.now, outcome: done, saw: it, seen: true, what: "row of a page"}
		h.place(l, o)
	}
}

// reads returns a request for each item that was written.
func (h *history) reads() (list []*request) {
	for _, name := range h.order {
		if !h.items[name].written || name.life.unchecked != "" {
			continue
		}
		list = append(list, &request{
			who: name.life.who, operation: "GetItem",
			body: fmt.Appendf(nil, `{"ConsistentRead":true,"Key":%s,"TableName":%q}`, name.key, name.life.name),
		})
	}
	return list
}

// notes says what was left out.
func (h *history) notes() (list []string) {
	names := slices.SortedFunc(maps.Keys(h.lives), func(a, b tableName) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.who.Account, b.who.Account), cmp.Compare(a.who.Region, b.who.Region))
	})
	for _, name := range names {
		if l := h.lives[name]; l.unchecked != "" {
			list = append(list, fmt.Sprintf("table %s is not checked: %s", l.name, l.unchecked))
		}
	}
	return list
}
