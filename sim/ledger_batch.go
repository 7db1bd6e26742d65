package sim

import (
	"errors"
	"slices"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// Requests for many items of the ledger, each on its own: batches and scans. They meet transactions
// there, which is why a service answers them in part: it does not process what it cannot, and says so.
// To the checkers each item is a request by itself, with the call and the answer of the whole.
//
//	scatter   puts and deletes registers, as how says. What was not processed is sent again
//	gather    reads registers and lists
//	sweep     scans the ledger, one book after the other, count items a page (0: as many as there is room for), and keeps what
//	          it shows of registers and lists
//	seek      queries for registers and lists, each by its key
const (
	scatter = "scatter"
	gather  = "gather"
	sweep   = "sweep"
	seek    = "seek"
)

func (x *Transaction) isOfMany() bool {
	return x.Do == scatter || x.Do == gather || x.Do == sweep || x.Do == seek
}

// drawMany draws one of them, about registers.
func drawMany(d *drawer, value string) Transaction {
	switch d.IntN(7) {
	case 0:
		return Transaction{Do: gather, Keys: d.some(ledgerKeys("g"), 2+d.IntN(4))}
	case 1:
		return Transaction{Do: sweep, Count: int64(d.one(0, 1, 3))}
	case 2:
		return Transaction{Do: seek, Keys: d.some(ledgerKeys("g"), 1+d.IntN(3))}
	}
	x := Transaction{Do: scatter, Keys: d.some(ledgerKeys("g"), 2+d.IntN(3)), Value: value}
	for range x.Keys {
		x.How = append(x.How, []string{"put", "put", "put", "delete"}[d.IntN(4)])
	}
	return x
}

// parts returns the requests that one for many items is to the checkers.
func (t *transactor) parts(op *Transaction) (list []*tx) {
	keys := op.Keys
	if op.Do == sweep {
		keys = slices.Concat(ledgerKeys("g"), ledgerKeys("l"))
	}
	for i, key := range keys {
		part := &Transaction{Do: "see", Keys: []string{key}, Value: op.Value, Via: op.Via}
		switch {
		case op.Do == scatter:
			part.Do, part.How = "set", op.How[i:i+1]
		case key[0] == 'l':
			part.Do = "lists"
		}
		x := t.begin(part)
		x.weak = !x.isWrite() && t.run.plan.breaksLeases()
		if !t.run.ledger.crowded(x) {
			list = append(list, x)
		}
	}
	return list
}

// many carries out a request for many items, and sends what was not processed again.
func (t *transactor) many(op *Transaction) {
	list := t.parts(op)
	for _, x := range list {
		t.run.ledger.call(x)
	}
	left := list
	for attempt := 0; attempt <= t.plan.Retries && len(left) > 0; attempt++ {
		if attempt > 0 {
			t.run.fire("unprocessed items sent again")
			t.run.clients.Sleep(t.delay() << min(attempt, 6))
		}
		asked := left
		answered := t.ask("batch", asked, func(s *server) ([]Outcome, error) { return t.carryOutMany(s, op, asked) })
		left = nil
		if !answered { // some of it may yet happen
			break
		}
		for _, x := range asked {
			if x.failed && !x.doubt && !x.settled() {
				left = append(left, x)
			}
		}
	}
	for _, x := range list {
		x.giveUp(true)
		t.learn(x)
		if x.outcome == Unknown {
			t.id = t.run.newID()
		}
	}
}

// carryOutMany is one attempt. The error is one that no fault excuses.
func (t *transactor) carryOutMany(s *server, op *Transaction, list []*tx) ([]Outcome, error) {
	var left []string
	var err error
	found := map[string]item.Item{}
	way := list[0].way(s)
	switch op.Do {
	case scatter:
		left, err = way.scatter(list)
	case gather:
		found, left, err = way.gather(list)
	case seek:
		for _, x := range list {
			if key := x.op.Keys[0]; err == nil {
				err = x.seek(way, key, found)
			}
		}
	default:
		for _, book := range []string{ledgerName, otherBook}[:max(1, t.run.plan.Knobs.Books)] {
			if err == nil {
				err = sweepAll(way, book, int(op.Count), found)
			}
		}
	}
	if err != nil {
		outcome, unexcused := list[0].judge(err)
		if op.Do == scatter && !isFull(err) { // some of the writes may have happened
			outcome = Unknown
		}
		return slices.Repeat([]Outcome{outcome}, len(list)), unexcused
	}
	outcomes := make([]Outcome, len(list))
	for i, x := range list {
		key := x.op.Keys[0]
		if outcomes[i] = Done; slices.Contains(left, key) {
			outcomes[i] = Failed
			continue
		}
		if op.Do != scatter {
			if err := x.show([]item.Item{found[key]}); err != nil {
				return nil, err
			}
		}
	}
	return outcomes, nil
}

// sweepAll reads all pages.
func sweepAll(way ledgerWay, book string, limit int, found map[string]item.Item) error {
	var start any
	for {
		rows, next, err := way.sweep(book, limit, start)
		if err != nil {
			return err
		}
		for _, it := range rows {
			key := textIn(it, "k")
			if _, twice := found[key]; twice {
				return damaged("%s twice in one scan", key)
			}
			found[key] = it
		}
		if start = next; start == nil {
			return nil
		}
	}
}

// seek queries for one item.
func (x *tx) seek(way ledgerWay, key string, found map[string]item.Item) error {
	rows, err := way.seek(x.run.book(key), key)
	if err == nil && len(rows) > 1 {
		err = damaged("a query for %s shows %d items", key, len(rows))
	}
	if err == nil && len(rows) == 1 {
		found[key] = rows[0] // show looks whether it is that one
	}
	return err
}

// isFull reports whether an error says that the disk was full, which promises that nothing of a batch has
// happened.
func isFull(err error) bool {
	var fault *edgeFault
	return errors.Is(err, vfs.ErrNoSpace) || errors.As(err, &fault) && strings.HasPrefix(fault.message, diskFull)
}

func (w tableWay) scatter(list []*tx) (left []string, err error) {
	request := &table.BatchWriteRequest{}
	for _, x := range list {
		a := x.action(0, x.op.Keys[0])
		i := slices.IndexFunc(request.Tables, func(t table.BatchWriteTable) bool { return t.Table == a.book })
		if i < 0 {
			i, request.Tables = len(request.Tables), append(request.Tables, table.BatchWriteTable{Table: a.book})
		}
		write := table.BatchWriteOp{Delete: ledgerKey(x.op.Keys[0])}
		if a.put != nil {
			write = table.BatchWriteOp{Put: a.put.item()}
		}
		request.Tables[i].Writes = append(request.Tables[i].Writes, write)
	}
	r, err := w.s.tables.BatchWrite(request)
	if err != nil {
		return nil, err
	}
	for i := range r.Tables {
		for _, u := range r.Tables[i].Unprocessed {
			it := u.Put
			if it == nil {
				it = u.Delete
			}
			left = append(left, textIn(it, "k"))
		}
	}
	return left, nil
}

func (w tableWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	request := &table.BatchGetRequest{}
	for _, x := range list {
		book := x.run.book(x.op.Keys[0])
		i := slices.IndexFunc(request.Tables, func(t table.BatchGetTable) bool { return t.Table == book })
		if i < 0 {
			i, request.Tables = len(request.Tables), append(request.Tables, table.BatchGetTable{Table: book, Consistent: true})
		}
		request.Tables[i].Keys = append(request.Tables[i].Keys, ledgerKey(x.op.Keys[0]))
	}
	r, err := w.s.tables.BatchGet(request)
	if err != nil {
		return nil, nil, err
	}
	found, left := map[string]item.Item{}, []string(nil)
	for i := range r.Tables {
		addByKey(found, r.Tables[i].Items)
		for _, key := range r.Tables[i].Unprocessed {
			left = append(left, textIn(key, "k"))
		}
	}
	return found, left, nil
}

func addByKey(found map[string]item.Item, items []item.Item) {
	for _, it := range items {
		found[textIn(it, "k")] = it
	}
}

func (w tableWay) sweep(book string, limit int, start any) ([]item.Item, any, error) {
	from, _ := start.(item.Item)
	page, err := w.s.tables.Scan(&table.ScanRequest{Table: book, Consistent: true, Limit: limit, StartKey: from})
	if err != nil || page.LastKey == nil {
		return itemsOf(page), nil, err
	}
	return page.Items, page.LastKey, nil
}

func (w tableWay) seek(book, key string) ([]item.Item, error) {
	condition, err := expr.ParseKeyCondition("k = :k", expr.NewParams(nil, item.NewItem(map[string]item.Value{":k": item.String(key)})))
	if err != nil {
		return nil, err
	}
	page, err := w.s.tables.Query(&table.QueryRequest{Table: book, Keys: condition, Consistent: true})
	return itemsOf(page), err
}

func itemsOf(page *table.Page) []item.Item {
	if page == nil {
		return nil
	}
	return page.Items
}

func (w jsonWay) scatter(list []*tx) (left []string, err error) {
	writes := map[string][]object{}
	for _, x := range list {
		if a := x.action(0, x.op.Keys[0]); a.put != nil {
			writes[a.book] = append(writes[a.book], object{"PutRequest": object{"Item": a.put}})
		} else {
			writes[a.book] = append(writes[a.book], object{"DeleteRequest": object{"Key": ledgerEdgeKey(x.op.Keys[0])}})
		}
	}
	answer, err := w.ask("BatchWriteItem", object{"RequestItems": writes})
	if err != nil {
		return nil, err
	}
	for _, book := range sortedKeys(answer.UnprocessedItems) {
		for _, u := range answer.UnprocessedItems[book] {
			switch {
			case u.PutRequest != nil:
				left = append(left, u.PutRequest.Item["k"].S)
			case u.DeleteRequest != nil:
				left = append(left, u.DeleteRequest.Key["k"].S)
			}
		}
	}
	return left, nil
}

func (w jsonWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	keys := map[string][]edgeItem{}
	for _, x := range list {
		book := x.run.book(x.op.Keys[0])
		keys[book] = append(keys[book], ledgerEdgeKey(x.op.Keys[0]))
	}
	asked := object{}
	for _, book := range sortedKeys(keys) {
		asked[book] = object{"Keys": keys[book], "ConsistentRead": true}
	}
	answer, err := w.ask("BatchGetItem", object{"RequestItems": asked})
	if err != nil {
		return nil, nil, err
	}
	found, left := map[string]item.Item{}, []string(nil)
	for _, book := range sortedKeys(keys) {
		addByKey(found, answer.Responses.of(book))
		for _, key := range answer.UnprocessedKeys[book].Keys {
			left = append(left, key["k"].S)
		}
	}
	return found, left, nil
}

func (w jsonWay) sweep(book string, limit int, start any) ([]item.Item, any, error) {
	body := object{"TableName": book, "ConsistentRead": true}
	if limit > 0 {
		body["Limit"] = limit
	}
	if start != nil {
		body["ExclusiveStartKey"] = start
	}
	answer, err := w.ask("Scan", body)
	if err != nil {
		return nil, nil, err
	}
	if answer.LastEvaluatedKey == nil {
		return answer.rows(), nil, nil
	}
	return answer.rows(), answer.LastEvaluatedKey, nil
}

func (w jsonWay) seek(book, key string) ([]item.Item, error) {
	answer, err := w.ask("Query", object{
		"TableName": book, "ConsistentRead": true, "KeyConditionExpression": "k = :k", "ExpressionAttributeValues": object{":k": edgeValue{S: key}},
	})
	if err != nil {
		return nil, err
	}
	return answer.rows(), nil
}

func (a *edgeAnswer) rows() (list []item.Item) {
	for _, it := range a.Items {
		list = append(list, it.item())
	}
	return list
}

func (w statementWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	var statements []object
	for _, x := range list {
		statements = append(statements, object{"Statement": "SELECT * FROM " + x.run.book(x.op.Keys[0]) + " WHERE k = ?", "Parameters": []edgeValue{{S: x.op.Keys[0]}}, "ConsistentRead": true})
	}
	answer, err := w.ask("BatchExecuteStatement", object{"Statements": statements})
	if err != nil {
		return nil, nil, err
	}
	if len(answer.Responses.List) != len(list) {
		return nil, nil, damaged("BatchExecuteStatement answers %d of %d statements", len(answer.Responses.List), len(list))
	}
	found, left := map[string]item.Item{}, []string(nil)
	for i, r := range answer.Responses.List {
		if key := list[i].op.Keys[0]; r.Error != nil {
			left = append(left, key)
		} else {
			found[key] = r.Item.item()
		}
	}
	return found, left, nil
}

func (w statementWay) sweep(book string, limit int, start any) ([]item.Item, any, error) {
	body := object{"Statement": "SELECT * FROM " + book, "ConsistentRead": true}
	if limit > 0 {
		body["Limit"] = limit
	}
	if start != nil {
		body["NextToken"] = start
	}
	answer, err := w.ask("ExecuteStatement", body)
	if err != nil {
		return nil, nil, err
	}
	if answer.NextToken == "" {
		return answer.rows(), nil, nil
	}
	return answer.rows(), answer.NextToken, nil
}
