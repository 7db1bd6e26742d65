package simtest

import (
	"iter"
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// What partitions apply tells in which order the writes of an item took effect, which is what a witness wants to know. Nothing
// rests on it: a command that is taken for that of somebody else costs no more than a search.

// A participant is a partition that takes part in a transaction.
type participant struct {
	group uint64
	id    txn.ID
}

// An accepted is an action that will be done when its transaction is committed.
type accepted struct {
	it         *itemHistory
	candidates []*operation
}

// applied notes a command of a partition that was applied for the first time anywhere, and what it came to.
func (h *history) applied(group uint64, command []byte, result any) {
	r, ok := result.(*partition.Result)
	if !ok || r.Err != nil {
		return
	}
	c, err := partition.DecodeCommand(command)
	if err != nil || c.Request.Node != 0 && h.requests[c.Request] {
		return
	}
	if c.Request.Node != 0 {
		h.requests[c.Request] = true
	}
	if c.Transaction != nil {
		h.transacted(participant{group, c.Transaction.ID}, &c, r)
		return
	}
	for _, a := range h.actions(&c) {
		a.commit()
	}
}

// transacted notes a command of a transaction. Its items are taken between the time when a partition has accepted it
// and the time when it is committed there, so nothing comes between.
func (h *history) transacted(p participant, c *partition.Command, r *partition.Result) {
	var actions []accepted
	for i := range c.Transaction.Actions {
		actions = append(actions, h.actions(&c.Transaction.Actions[i].Command)...)
	}
	switch {
	case c.Kind == partition.Resolve || c.Kind == partition.Decide:
		if c.Transaction.Outcome == txn.Committed {
			for _, a := range h.accepted[p] {
				a.commit()
			}
		}
		delete(h.accepted, p)
	case r.Transaction == nil || len(r.Transaction.Actions) == 0: // it was done before
	case r.Transaction.Outcome == txn.Committed:
		for _, a := range actions {
			a.commit()
		}
	default:
		h.accepted[p] = actions
	}
}

func (a accepted) commit() { a.it.commits = append(a.it.commits, a.candidates) }

// actions returns what a write may be: of which items, since it does not say of which table it is, and there which of the
// writes under way.
func (h *history) actions(c *partition.Command) (list []accepted) {
	k := kindOf(c.Kind)
	if k == get {
		return nil
	}
	for _, l := range h.lives { //sim:ok each by itself
		key, ok := l.keyOf(c.Item)
		if !ok {
			continue
		}
		it := h.items[itemName{l, string(key.AppendJSON(nil))}]
		if it == nil {
			continue
		}
		wanted := wants(k, c.Item, c.Condition, c.Update)
		it.open = slices.DeleteFunc(it.open, (*operation).isOver)
		candidates := slices.DeleteFunc(slices.Clone(it.open), func(o *operation) bool { return o.wants() != wanted })
		if len(candidates) > 0 {
			list = append(list, accepted{it, candidates})
		}
	}
	return list
}

// transactWrite may be sent again under its token, also when it has failed.
const transactWrite = "TransactWriteItems"

// kindOf is get for what changes no item.
func kindOf(k partition.Kind) kind {
	switch k {
	case partition.Put:
		return put
	case partition.Delete:
		return remove
	case partition.Update:
		return update
	}
	return get
}

// wants is what a write asks for, as bytes.
func (o *operation) wants() string {
	if o.wanted == "" {
		it := o.key
		if o.kind == put {
			it = o.put
		}
		o.wanted = wants(o.kind, it, o.condition, o.update)
	}
	return o.wanted
}

func wants(k kind, it item.Item, condition *expr.Condition, u *expr.Update) string {
	b := append([]byte{byte(k)}, it...)
	if condition != nil {
		b = condition.AppendBinary(append(b, 'c'))
	}
	if u != nil {
		b = u.AppendBinary(append(b, 'u'))
	}
	return string(b)
}

// isOver reports whether it is known for good what became of a write.
func (o *operation) isOver() bool {
	return o.outcome == done || o.outcome == refused || o.outcome == failed && o.what != transactWrite
}

// inOrder returns for each write that was applied to the item those that it may be. Those of which clients
// were told that they did not happen are none.
func (it *itemHistory) inOrder() iter.Seq[[]*operation] {
	return func(yield func([]*operation) bool) {
		for _, candidates := range it.commits {
			if !yield(slices.DeleteFunc(slices.Clone(candidates), func(o *operation) bool { return o.outcome == failed || o.outcome == refused })) {
				return
			}
		}
	}
}
