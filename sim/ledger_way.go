package sim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// A ledgerWay is a way into a node for the requests of transactors. Errors are those of the table's
// operations, whichever way they come out, or an *edgeFault.
type ledgerWay interface {
	// write carries out a transaction. again is "", or how it is sent again; repeated says that it
	// was answered as one that had been carried out before.
	write(x *tx, again string) (repeated bool, err error)
	// read reads items at one moment, or one item.
	read(x *tx) ([]item.Item, error)
	// single carries out a write of one item, and returns the item as it was before or, of an
	// update, is now.
	single(x *tx) (item.Item, error)
	// scatter writes the items of single requests in one batch. left are the keys of those
	// that were not processed.
	scatter(list []*tx) (left []string, err error)
	// gather reads the items of single requests in one batch, by key.
	gather(list []*tx) (found map[string]item.Item, left []string, err error)
	// sweep scans a page of a table; next is where another one begins, nil if there is none.
	sweep(book string, limit int, start any) (rows []item.Item, next any, err error)
	// seek queries for the items of a key.
	seek(book, key string) ([]item.Item, error)
}

func (x *tx) way(s *server) ledgerWay {
	switch {
	case x.op.Via == "partiql" && x.sayable():
		return statementWay{jsonWay{edgeEntrance{s}}}
	case x.op.Via != "":
		return jsonWay{edgeEntrance{s}}
	}
	return tableWay{s}
}

// A tableWay enters at the table's operations.
type tableWay struct{ s *server }

func (a *ledgerAction) params() *expr.Params {
	values := map[string]item.Value{}
	for name, v := range a.values { //sim:ok a map of them
		values[name] = v.value()
	}
	return expr.NewParams(nil, item.NewItem(values))
}

// parse returns the expressions of an action, nil if it has none.
func (a *ledgerAction) parse() (condition *expr.Condition, update *expr.Update, err error) {
	params := a.params()
	if a.condition != "" {
		condition, err = expr.ParseCondition(expr.ConditionExpression, a.condition, params)
	}
	if a.update != "" && err == nil {
		update, err = expr.ParseUpdate(a.update, params)
	}
	return condition, update, err
}

func (w tableWay) write(x *tx, again string) (bool, error) {
	r := &table.TransactWriteRequest{Token: x.token}
	for i, a := range x.actions() {
		condition, update, err := a.parse()
		if err != nil {
			return false, err
		}
		target := ledgerKey(x.op.Keys[i])
		if a.put != nil {
			target = a.put.item()
		}
		r.Actions = append(r.Actions, table.TransactAction{
			Kind: a.kind, Table: a.book, Item: target, Condition: condition, Update: update, ReturnOnFailure: true,
		})
	}
	for i := range r.Parameters {
		r.Parameters[i] = x.token[i%len(x.token)]
	}
	if again == "other" {
		r.Parameters[0] ^= 1
	}
	result, err := w.s.tables.TransactWrite(r)
	return err == nil && result.Repeated, err
}

func (w tableWay) read(x *tx) ([]item.Item, error) {
	if x.single() {
		r, err := w.s.tables.Get(&table.GetRequest{Table: x.run.book(x.op.Keys[0]), Key: ledgerKey(x.op.Keys[0]), Consistent: true})
		if err != nil {
			return nil, err
		}
		return []item.Item{r.Item}, nil
	}
	request := &table.TransactGetRequest{}
	for _, key := range x.op.Keys {
		request.Items = append(request.Items, table.TransactGetItem{Table: x.run.book(key), Key: ledgerKey(key)})
	}
	r, err := w.s.tables.TransactGet(request)
	if err != nil {
		return nil, err
	}
	return r.Items, nil
}

func (w tableWay) single(x *tx) (item.Item, error) {
	a := x.action(0, x.op.Keys[0])
	condition, update, err := a.parse()
	if err != nil {
		return nil, err
	}
	var r *table.WriteResult
	switch key := ledgerKey(x.op.Keys[0]); a.kind {
	case table.TransactPut:
		r, err = w.s.tables.Put(&table.PutRequest{Table: a.book, Item: a.put.item(), Condition: condition, Return: table.AllOld, ReturnOnFailure: true})
	case table.TransactDelete:
		r, err = w.s.tables.DeleteItem(&table.DeleteRequest{Table: a.book, Key: key, Condition: condition, Return: table.AllOld, ReturnOnFailure: true})
	default:
		r, err = w.s.tables.UpdateItem(&table.UpdateRequest{Table: a.book, Key: key, Condition: condition, Update: update, Return: table.AllNew, ReturnOnFailure: true})
	}
	if err != nil {
		return nil, err
	}
	return r.Attributes, nil
}

// A jsonWay speaks JSON to the edge.
type jsonWay struct{ e edgeEntrance }

// ask sends a request, and turns what refuses it into the table's errors.
func (w jsonWay) ask(operation string, body object) (*edgeAnswer, error) {
	answer, fault, err := w.e.ask(operation, body)
	if err != nil || fault == nil {
		return answer, err
	}
	if fault.status != http.StatusBadRequest {
		return nil, fault
	}
	switch fault.typ {
	case "ConditionalCheckFailedException":
		return nil, &table.ConditionFailedError{Item: answer.Item.item()}
	case "TransactionConflictException":
		return nil, &table.ConflictError{}
	case "TransactionInProgressException":
		return nil, &table.InProgressError{}
	case "IdempotentParameterMismatchException":
		return nil, &table.ParameterMismatchError{}
	case "TransactionCanceledException":
		return nil, answer.cancelled()
	}
	return nil, fault
}

// cancelled returns the reasons of a cancellation. A code that is not known is a finding.
func (a *edgeAnswer) cancelled() error {
	e := &table.CancelledError{}
	var codes []string
	for _, r := range a.CancellationReasons {
		code := table.ReasonNone
		for code.String() != r.Code {
			if code++; code > table.ReasonDuplicateItem {
				return damaged("a transaction is cancelled for the reason %q", r.Code)
			}
		}
		e.Reasons = append(e.Reasons, table.Reason{Code: code, Message: r.Message, Item: r.Item.item()})
		codes = append(codes, r.Code)
	}
	if told := "[" + strings.Join(codes, ", ") + "]"; !strings.HasSuffix(a.Message, told) {
		return damaged("a transaction is cancelled with the message %q for %s", a.Message, told)
	}
	return e
}

func ledgerEdgeKey(key string) edgeItem { return edgeItem{"k": {S: key}} }

func (w jsonWay) write(x *tx, again string) (bool, error) {
	var actions []object
	for i, a := range x.actions() {
		body := a.body(x.op.Keys[i])
		if again == "other" && i == 0 {
			body["ReturnValuesOnConditionCheckFailure"] = "NONE"
		}
		name := map[table.ActionKind]string{table.TransactPut: "Put", table.TransactDelete: "Delete", table.TransactUpdate: "Update", table.TransactCheck: "ConditionCheck"}[a.kind]
		actions = append(actions, object{name: body})
	}
	return w.transaction("TransactWriteItems", x.books(), object{"TransactItems": actions, "ClientRequestToken": x.token})
}

// transaction sends a transaction that writes items of so many tables.
func (w jsonWay) transaction(operation string, tables int, body object) (repeated bool, err error) {
	body["ReturnConsumedCapacity"] = "TOTAL"
	answer, err := w.ask(operation, body)
	if err != nil {
		return false, err
	}
	if len(answer.ConsumedCapacity) != tables {
		return false, damaged("%s has used the capacity of %d tables, not %d", operation, len(answer.ConsumedCapacity), tables)
	}
	for i, used := range answer.ConsumedCapacity {
		if used.ReadCapacityUnits > 0 == (used.WriteCapacityUnits > 0) || i > 0 && used.ReadCapacityUnits > 0 != repeated {
			return false, damaged("%s has used %+v", operation, answer.ConsumedCapacity)
		}
		repeated = used.ReadCapacityUnits > 0 // what a repetition costs
	}
	return repeated, nil
}

// body is what the edge calls a Put, an Update and so on, in transactions and by themselves.
func (a *ledgerAction) body(key string) object {
	o := object{"TableName": a.book, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
	if a.put != nil {
		o["Item"] = a.put
	} else {
		o["Key"] = ledgerEdgeKey(key)
	}
	if a.update != "" {
		o["UpdateExpression"] = a.update
	}
	if a.condition != "" {
		o["ConditionExpression"] = a.condition
	}
	if len(a.values) > 0 {
		o["ExpressionAttributeValues"] = a.values
	}
	return o
}

func (w jsonWay) read(x *tx) ([]item.Item, error) {
	if x.single() {
		answer, err := w.ask("GetItem", object{"TableName": x.run.book(x.op.Keys[0]), "Key": ledgerEdgeKey(x.op.Keys[0]), "ConsistentRead": true})
		if err != nil {
			return nil, err
		}
		return []item.Item{answer.Item.item()}, nil
	}
	var gets []object
	for _, key := range x.op.Keys {
		gets = append(gets, object{"Get": object{"TableName": x.run.book(key), "Key": ledgerEdgeKey(key)}})
	}
	answer, err := w.ask("TransactGetItems", object{"TransactItems": gets})
	return answer.items(), err
}

func (a *edgeAnswer) items() (list []item.Item) {
	if a != nil {
		for _, r := range a.Responses.List {
			list = append(list, r.Item.item())
		}
	}
	return list
}

func (w jsonWay) single(x *tx) (item.Item, error) {
	a := x.action(0, x.op.Keys[0])
	body, name := a.body(x.op.Keys[0]), "UpdateItem"
	body["ReturnValues"] = "ALL_OLD"
	switch a.kind {
	case table.TransactPut:
		name = "PutItem"
	case table.TransactDelete:
		name = "DeleteItem"
	default:
		body["ReturnValues"] = "ALL_NEW"
	}
	answer, err := w.ask(name, body)
	if err != nil {
		return nil, err
	}
	return answer.Attributes.item(), nil
}

// A statementWay speaks PartiQL where there are statements for what is to be done, else JSON.
type statementWay struct{ jsonWay }

func (w statementWay) write(x *tx, again string) (bool, error) {
	var list []object
	for i, a := range x.actions() {
		text, parameters, _ := a.statement(x.op.Keys[i])
		s := object{"Statement": text, "Parameters": parameters, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
		if again == "other" && i == 0 {
			s["ReturnValuesOnConditionCheckFailure"] = "NONE"
		}
		list = append(list, s)
	}
	return w.transaction("ExecuteTransaction", x.books(), object{"TransactStatements": list, "ClientRequestToken": x.token})
}

func (w statementWay) read(x *tx) ([]item.Item, error) {
	if x.single() {
		return w.jsonWay.read(x)
	}
	var list []object
	for _, key := range x.op.Keys {
		list = append(list, object{"Statement": "SELECT * FROM " + x.run.book(key) + " WHERE k = ?", "Parameters": []edgeValue{{S: key}}})
	}
	answer, err := w.ask("ExecuteTransaction", object{"TransactStatements": list})
	return answer.items(), err
}

// sayable reports whether there are statements for all that the request does.
func (x *tx) sayable() bool {
	if !x.isWrite() || x.single() {
		return true
	}
	for i, a := range x.actions() {
		if _, _, ok := a.statement(x.op.Keys[i]); !ok {
			return false
		}
	}
	return true
}

// statement returns the statement of an action, with its parameters; false if there is none.
// INSERT is a put on the condition that there is no item, UPDATE, and EXISTS, work on items that
// there are, and DELETE succeeds without one.
func (a *ledgerAction) statement(key string) (text string, parameters []edgeValue, ok bool) {
	absent, present := a.condition == groupConditions[IfAbsent], a.condition == groupConditions[IfPresent]
	where, condition := "k = ?", a.condition
	if present {
		condition = ""
	}
	switch {
	case a.kind == table.TransactPut && absent:
		return "INSERT INTO " + a.book + " VALUE {'k': ?, 'v': ?, 'filler': ?}", []edgeValue{a.put["k"], a.put["v"], a.put["filler"]}, true
	case absent, a.kind == table.TransactPut && a.condition == "", a.kind == table.TransactDelete && a.condition != "",
		strings.Contains(a.update, "if_not_exists"):
		return "", nil, false
	case a.kind == table.TransactPut:
		text, parameters = "UPDATE "+a.book+" SET v = ? SET filler = ? WHERE ", []edgeValue{a.put["v"], a.put["filler"]}
	case a.kind == table.TransactUpdate:
		update, values := a.questions(a.update)
		text, parameters = "UPDATE "+a.book+" "+update+" WHERE ", values
	case a.kind == table.TransactDelete:
		text = "DELETE FROM " + a.book + " WHERE "
	default:
		text = "EXISTS(SELECT * FROM " + a.book + " WHERE "
	}
	parameters = append(parameters, edgeValue{S: key})
	if condition != "" {
		more, values := a.questions(condition)
		where, parameters = where+" AND "+more, append(parameters, values...)
	}
	if a.kind == table.TransactCheck {
		where += ")"
	}
	return text + where, parameters, true
}

// questions puts question marks in the place of names of values, and returns these in their order.
func (a *ledgerAction) questions(text string) (string, []edgeValue) {
	var b strings.Builder
	var values []edgeValue
	for {
		before, after, more := strings.Cut(text, ":")
		b.WriteString(before)
		if !more {
			return b.String(), values
		}
		end := strings.IndexAny(after+" ", " ,)")
		values = append(values, a.values[":"+after[:end]])
		b.WriteByte('?')
		text = after[end:]
	}
}

// item returns the item as the table knows it; nil if there is none.
func (it edgeItem) item() item.Item {
	if len(it) == 0 {
		return nil
	}
	values := map[string]item.Value{}
	for name, v := range it { //sim:ok a map of them
		values[name] = v.value()
	}
	return item.NewItem(values)
}

func (v edgeValue) value() item.Value {
	switch {
	case v.L != nil:
		var list []item.Value
		for _, e := range v.L {
			list = append(list, e.value())
		}
		return item.List(list...)
	case v.N != "":
		n, err := item.Num(v.N)
		if err != nil {
			return item.String(fmt.Sprintf("%q is no number: %v", v.N, errors.Unwrap(err)))
		}
		return n
	case v.B != nil:
		return item.Bytes(v.B)
	}
	return item.String(v.S)
}
