package server

import (
	"strings"

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

// add counts what an action used. A table that is named in several ways is one table, called as it was first.
func (u *transactUsage) add(name string, units float64, indexes []table.IndexCapacity) {
	for _, known := range u.list {
		if bareName(known.table) == bareName(name) {
			name = known.table
		}
	}
	u.list.add(name, units, indexes)
}

// bareName is the name of a table that is given by name or ARN.
func bareName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func transactGetCapacity(mode api.Optional[string], request *table.TransactGetRequest, r *table.TransactGetResult) []api.ConsumedCapacity {
	u := transactUsage{mode: mode, read: true}
	for i := range r.Items {
		u.add(request.Items[i].Table, r.Capacity[i].Read, nil)
	}
	return u.answer()
}

func transactWriteCapacity(mode api.Optional[string], request *table.TransactWriteRequest, r *table.TransactWriteResult) []api.ConsumedCapacity {
	u := transactUsage{mode: mode, read: r.Repeated}
	for i := range r.Actions {
		a := &r.Actions[i]
		if r.Repeated {
			u.add(request.Actions[i].Table, a.Capacity.Read, nil)
		} else {
			u.add(request.Actions[i].Table, a.Capacity.Write, a.Indexes)
		}
	}
	return u.answer()
}

// transactMetrics answers ReturnItemCollectionMetrics: each collection once, by table.
func transactMetrics(mode api.Optional[string], request *table.TransactWriteRequest, r *table.TransactWriteResult) map[string][]api.ItemCollectionMetrics {
	var all map[string][]api.ItemCollectionMetrics
	called := map[string]string{} // by bare name
	for i := range r.Actions {
		a := &r.Actions[i]
		m := collectionMetrics(mode, a.CollectionKey, a.CollectionBytes)
		if m == nil {
			continue
		}
		if all == nil {
			all = map[string][]api.ItemCollectionMetrics{}
		}
		bare := bareName(request.Actions[i].Table)
		if called[bare] == "" {
			called[bare] = request.Actions[i].Table
		}
		name := called[bare]
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
