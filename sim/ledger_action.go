package sim

import "github.com/statordb/stator/table"

// A ledgerAction is what a transaction, or a single write, does with one item, in words that all
// ways into a node are made of.
type ledgerAction struct {
	book      string // the table
	kind      table.ActionKind
	put       edgeItem // the item
	update    string
	condition string
	values    edgeItem // of both expressions
}

// actions returns those of a transaction.
func (x *tx) actions() []ledgerAction {
	list := make([]ledgerAction, len(x.op.Keys))
	for i, key := range x.op.Keys {
		list[i] = x.action(i, key)
	}
	return list
}

func (x *tx) action(i int, key string) ledgerAction {
	a := x.actionOn(i, key)
	a.book = x.run.book(key)
	return a
}

func (x *tx) actionOn(i int, key string) ledgerAction {
	switch x.op.Do {
	case "transfer":
		a := ledgerAction{kind: table.TransactUpdate, update: "SET n = n + :n", values: edgeItem{":n": edgeNumber(x.op.Count)}}
		if i == 0 {
			a.update, a.condition = "SET n = n - :n", "n >= :n"
		}
		return a
	case "touch":
		return ledgerAction{kind: table.TransactUpdate, update: "ADD t :1", values: edgeItem{":1": edgeNumber(1)}}
	case "join":
		return ledgerAction{kind: table.TransactUpdate, update: "SET duty = :on", values: edgeItem{":on": edgeNumber(1)}}
	case "leave":
		if i == 0 {
			return ledgerAction{kind: table.TransactUpdate, update: "SET duty = :off", values: edgeItem{":off": edgeNumber(0)}}
		}
		return ledgerAction{kind: table.TransactCheck, condition: "duty = :on", values: edgeItem{":on": edgeNumber(1)}}
	case "append":
		if n, conditional := x.list.Found[key]; conditional && i > 0 {
			return lengthIs(n)
		}
		return x.appending(key)
	}
	if x.op.Do == "once" {
		put := edgeItem{"k": {S: key}, "v": {S: x.op.Value}, "filler": {B: filler(x.op.Value)}}
		return ledgerAction{kind: table.TransactPut, put: put, condition: groupConditions[IfAbsent]}
	}
	p := &x.group.Parts[i]
	a := ledgerAction{kind: [...]table.ActionKind{Get: table.TransactCheck, Put: table.TransactPut, Delete: table.TransactDelete}[p.Kind], condition: groupConditions[p.If]}
	if p.Kind == Put {
		a.put = edgeItem{"k": {S: key}, "v": {S: p.Value}, "filler": {B: filler(p.Value)}}
	}
	if p.If == IfValue {
		a.values = edgeItem{":v": {S: p.Expected}}
	}
	return a
}

var groupConditions = [...]string{Always: "", IfAbsent: "attribute_not_exists(k)", IfPresent: "attribute_exists(k)", IfValue: "v = :v"}

func lengthIs(n int) ledgerAction {
	if n == 0 {
		return ledgerAction{kind: table.TransactCheck, condition: "attribute_not_exists(k)"}
	}
	return ledgerAction{kind: table.TransactCheck, condition: "size(l) = :n", values: edgeItem{":n": edgeNumber(int64(n))}}
}

func (x *tx) appending(key string) ledgerAction {
	if x.there[key] {
		return ledgerAction{
			kind: table.TransactUpdate, update: "SET l = list_append(l, :x)", values: edgeItem{":x": {L: []edgeValue{{S: x.list.elementOf(key)}}}},
		}
	}
	return ledgerAction{
		kind: table.TransactUpdate, update: "SET l = list_append(if_not_exists(l, :e), :x)",
		values: edgeItem{":e": {L: []edgeValue{}}, ":x": {L: []edgeValue{{S: x.list.elementOf(key)}}}},
	}
}
