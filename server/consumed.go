package server

import (
	"slices"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// consumed shapes the capacity that a request used on one table and its indexes,
// as ReturnConsumedCapacity asks: nothing, the total, or the total and its parts.
func consumed(mode api.Optional[string], name string, units float64, indexes []table.IndexCapacity) *api.ConsumedCapacity {
	if mode.Value != "TOTAL" && mode.Value != "INDEXES" {
		return nil
	}
	total := units
	for _, x := range indexes {
		total += x.Units
	}
	c := &api.ConsumedCapacity{TableName: api.Some(name), CapacityUnits: api.Some(total)}
	if mode.Value == "INDEXES" {
		c.Table = &api.Capacity{CapacityUnits: api.Some(units)}
		for _, x := range indexes {
			part := &c.GlobalSecondaryIndexes
			if x.Local {
				part = &c.LocalSecondaryIndexes
			}
			if *part == nil {
				*part = map[string]api.Capacity{}
			}
			(*part)[x.Name] = api.Capacity{CapacityUnits: api.Some(x.Units)}
		}
	}
	return c
}

// consumedList is consumed for operations on several tables.
type consumedList []api.ConsumedCapacity

func (l *consumedList) add(mode api.Optional[string], name string, units float64, indexes []table.IndexCapacity) {
	if c := consumed(mode, name, units, indexes); c != nil {
		*l = append(*l, *c)
	}
}

// A usage is the capacity that several operations used together on one table
// and its indexes.
type usage struct {
	units   float64
	indexes []table.IndexCapacity // each once
}

func (u *usage) add(units float64, indexes []table.IndexCapacity) {
	u.units += units
	for _, x := range indexes {
		i := slices.IndexFunc(u.indexes, func(y table.IndexCapacity) bool { return y.Name == x.Name })
		if i < 0 {
			u.indexes = append(u.indexes, x)
		} else {
			u.indexes[i].Units += x.Units
		}
	}
}

// total returns the units of table and indexes.
func (u *usage) total() float64 {
	units := u.units
	for _, x := range u.indexes {
		units += x.Units
	}
	return units
}

// A tableUse is the capacity that a request used on one of its tables.
type tableUse struct {
	table string
	usage
}

// tableUses has each table once, in the order in which they were added.
type tableUses []tableUse

func (l *tableUses) add(name string, units float64, indexes []table.IndexCapacity) {
	i := slices.IndexFunc(*l, func(u tableUse) bool { return u.table == name })
	if i < 0 {
		i = len(*l)
		*l = append(*l, tableUse{table: name})
	}
	(*l)[i].add(units, indexes)
}

func (l tableUses) consumed(mode api.Optional[string]) []api.ConsumedCapacity {
	var list consumedList
	for _, u := range l {
		list.add(mode, u.table, u.units, u.indexes)
	}
	return list
}

// collectionMetrics answers ReturnItemCollectionMetrics for a write into the
// item collection of key, which has the given bytes afterwards; key is nil on
// tables without local indexes. The estimate is a range of one gigabyte.
func collectionMetrics(mode api.Optional[string], key item.Item, bytes int64) *api.ItemCollectionMetrics {
	if mode.Value != "SIZE" || key == nil {
		return nil
	}
	lower := float64(bytes >> 30)
	return &api.ItemCollectionMetrics{
		ItemCollectionKey:   key,
		SizeEstimateRangeGB: []float64{lower, lower + 1},
	}
}
