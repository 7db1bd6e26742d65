package server

import (
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// A transactUsage is the capacity that a transaction used, by table in the order in
// which it mentions them.
type transactUsage struct {
	mode api.Optional[string] // ReturnConsumedCapacity
	read bool                 // the units are of reads
	list tableUses
}

// answer shapes it: units stand once as a total, and once as what they are.
func (u *transactUsage) answer() []api.ConsumedCapacity {
	list := u.list.consumed(u.mode)
	for i := range list {
		c := &list[i]
		u.name(&c.CapacityUnits, &c.ReadCapacityUnits, &c.WriteCapacityUnits)
		if c.Table != nil {
			u.nameOf(c.Table)
		}
		for _, indexes := range []map[string]api.Capacity{c.GlobalSecondaryIndexes, c.LocalSecondaryIndexes} {
			for name, part := range indexes {
				u.nameOf(&part)
				indexes[name] = part
			}
		}
	}
	return list
}

func (u *transactUsage) nameOf(c *api.Capacity) {
	u.name(&c.CapacityUnits, &c.ReadCapacityUnits, &c.WriteCapacityUnits)
}

func (u *transactUsage) name(total, read, write *api.Optional[float64]) {
	if u.read {
		*read = *total
	} else {
		*write = *total
	}
}

func transactGetCapacity(mode api.Optional[string], request *table.TransactGetRequest, r *table.TransactGetResult) []api.ConsumedCapacity {
	u := transactUsage{mode: mode, read: true}
	for i := range r.Items {
		u.list.add(request.Items[i].Table, r.Capacity[i].Read, nil)
	}
	return u.answer()
}

func transactWriteCapacity(mode api.Optional[string], request *table.TransactWriteRequest, r *table.TransactWriteResult) []api.ConsumedCapacity {
	u := transactUsage{mode: mode, read: r.Repeated}
	for i := range r.Actions {
		a := &r.Actions[i]
		if r.Repeated {
			u.list.add(request.Actions[i].Table, a.Capacity.Read, nil)
		} else {
			u.list.add(request.Actions[i].Table, a.Capacity.Write, a.Indexes)
		}
	}
	return u.answer()
}

// transactMetrics answers ReturnItemCollectionMetrics: each collection once, by table.
func transactMetrics(mode api.Optional[string], request *table.TransactWriteRequest, r *table.TransactWriteResult) map[string][]api.ItemCollectionMetrics {
	var all map[string][]api.ItemCollectionMetrics
	for i := range r.Actions {
		a := &r.Actions[i]
		m := collectionMetrics(mode, a.CollectionKey, a.CollectionBytes)
		if m == nil {
			continue
		}
		if all == nil {
			all = map[string][]api.ItemCollectionMetrics{}
		}
		name := request.Actions[i].Table
		list, known := all[name], false
		for k := range list {
			if list[k].ItemCollectionKey.Equal(m.ItemCollectionKey) {
				list[k], known = *m, true
			}
		}
		if !known {
			all[name] = append(list, *m)
		}
	}
	return all
}

// canceledFault is the answer for a cancelled transaction.
func canceledFault(err *table.CancelledError) *api.TransactionCanceledException {
	e := &api.TransactionCanceledException{
		Message:             api.Some(err.Error()),
		CancellationReasons: make([]api.CancellationReason, len(err.Reasons)),
	}
	for i, r := range err.Reasons {
		e.CancellationReasons[i].Code = api.Some(r.Code.String())
		if r.Message != "" {
			e.CancellationReasons[i].Message = api.Some(r.Message)
		}
		e.CancellationReasons[i].Item = r.Item
	}
	return e
}
