package sim

import (
	"errors"
	"slices"
	"strings"

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
//	sweep     scans the ledger, count items a page (0: as many as there is room for), and keeps what
//	          it shows of registers and lists
const (
	scatter = "scatter"
	gather  = "gather"
	sweep   = "sweep"
)

func (x *Transaction) isOfMany() bool { return x.Do == scatter || x.Do == gather || x.Do == sweep }

// drawMany draws one of them, about registers.
func drawMany(d *drawer, value string) Transaction {
	switch d.IntN(4) {
	case 0:
		return Transaction{Do: gather, Keys: d.some(ledgerKeys("g"), 2+d.IntN(4))}
	case 1:
		return Transaction{Do: sweep, Count: int64(d.one(0, 1, 3))}
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
			if x.failed && !x.doubt {
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
	default:
		err = sweepAll(way, int(op.Count), found)
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
func sweepAll(way ledgerWay, limit int, found map[string]item.Item) error {
	var start any
	for {
		rows, next, err := way.sweep(limit, start)
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

// isFull reports whether an error says that the disk was full, which promises that nothing of a batch has
// happened.
func isFull(err error) bool {
	var fault *edgeFault
	return errors.Is(err, vfs.ErrNoSpace) || errors.As(err, &fault) && strings.HasPrefix(fault.message, diskFull)
}

func (w tableWay) scatter(list []*tx) (left []string, err error) {
	t := table.BatchWriteTable{Table: ledgerName}
	for _, x := range list {
		if a := x.action(0, x.op.Keys[0]); a.put != nil {
			t.Writes = append(t.Writes, table.BatchWriteOp{Put: a.put.item()})
		} else {
			t.Writes = append(t.Writes, table.BatchWriteOp{Delete: ledgerKey(x.op.Keys[0])})
		}
	}
	r, err := w.s.tables.BatchWrite(&table.BatchWriteRequest{Tables: []table.BatchWriteTable{t}})
	if err != nil {
		return nil, err
	}
	for _, u := range r.Tables[0].Unprocessed {
		it := u.Put
		if it == nil {
			it = u.Delete
		}
		left = append(left, textIn(it, "k"))
	}
	return left, nil
}

func (w tableWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	t := table.BatchGetTable{Table: ledgerName, Consistent: true}
	for _, x := range list {
		t.Keys = append(t.Keys, ledgerKey(x.op.Keys[0]))
	}
	r, err := w.s.tables.BatchGet(&table.BatchGetRequest{Tables: []table.BatchGetTable{t}})
	if err != nil {
		return nil, nil, err
	}
	return byLedgerKey(r.Tables[0].Items), ledgerKeysOf(r.Tables[0].Unprocessed), nil
}

func byLedgerKey(items []item.Item) map[string]item.Item {
	found := map[string]item.Item{}
	for _, it := range items {
		found[textIn(it, "k")] = it
	}
	return found
}

func ledgerKeysOf(items []item.Item) (keys []string) {
	for _, it := range items {
		keys = append(keys, textIn(it, "k"))
	}
	return keys
}

func (w tableWay) sweep(limit int, start any) ([]item.Item, any, error) {
	from, _ := start.(item.Item)
	page, err := w.s.tables.Scan(&table.ScanRequest{Table: ledgerName, Consistent: true, Limit: limit, StartKey: from})
	if err != nil || page.LastKey == nil {
		return itemsOf(page), nil, err
	}
	return page.Items, page.LastKey, nil
}

func itemsOf(page *table.Page) []item.Item {
	if page == nil {
		return nil
	}
	return page.Items
}

func (w jsonWay) scatter(list []*tx) (left []string, err error) {
	var writes []object
	for _, x := range list {
		if a := x.action(0, x.op.Keys[0]); a.put != nil {
			writes = append(writes, object{"PutRequest": object{"Item": a.put}})
		} else {
			writes = append(writes, object{"DeleteRequest": object{"Key": ledgerEdgeKey(x.op.Keys[0])}})
		}
	}
	answer, err := w.ask("BatchWriteItem", object{"RequestItems": object{ledgerName: writes}})
	if err != nil {
		return nil, err
	}
	for _, u := range answer.UnprocessedItems[ledgerName] {
		switch {
		case u.PutRequest != nil:
			left = append(left, u.PutRequest.Item["k"].S)
		case u.DeleteRequest != nil:
			left = append(left, u.DeleteRequest.Key["k"].S)
		}
	}
	return left, nil
}

func (w jsonWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	var keys []edgeItem
	for _, x := range list {
		keys = append(keys, ledgerEdgeKey(x.op.Keys[0]))
	}
	answer, err := w.ask("BatchGetItem", object{"RequestItems": object{ledgerName: object{"Keys": keys, "ConsistentRead": true}}})
	if err != nil {
		return nil, nil, err
	}
	var left []string
	for _, key := range answer.UnprocessedKeys[ledgerName].Keys {
		left = append(left, key["k"].S)
	}
	return byLedgerKey(answer.Responses.of(ledgerName)), left, nil
}

func (w jsonWay) sweep(limit int, start any) ([]item.Item, any, error) {
	body := object{"TableName": ledgerName, "ConsistentRead": true}
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

func (a *edgeAnswer) rows() (list []item.Item) {
	for _, it := range a.Items {
		list = append(list, it.item())
	}
	return list
}

func (w statementWay) gather(list []*tx) (map[string]item.Item, []string, error) {
	var statements []object
	for _, x := range list {
		statements = append(statements, object{"Statement": "SELECT * FROM ledger WHERE k = ?", "Parameters": []edgeValue{{S: x.op.Keys[0]}}, "ConsistentRead": true})
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

func (w statementWay) sweep(limit int, start any) ([]item.Item, any, error) {
	body := object{"Statement": "SELECT * FROM ledger", "ConsistentRead": true}
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
