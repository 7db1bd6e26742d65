package server

import (
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

// consumed shapes the capacity that a request used on one table, as
// ReturnConsumedCapacity asks: nothing, the total, or the total and its parts.
func consumed(mode api.Optional[string], table string, units float64) *api.ConsumedCapacity {
	if mode.Value != "TOTAL" && mode.Value != "INDEXES" {
		return nil
	}
	c := &api.ConsumedCapacity{TableName: api.Some(table), CapacityUnits: api.Some(units)}
	if mode.Value == "INDEXES" {
		c.Table = &api.Capacity{CapacityUnits: api.Some(units)}
	}
	return c
}

// consumedList is consumed for operations on several tables.
type consumedList []api.ConsumedCapacity

func (l *consumedList) add(mode api.Optional[string], table string, units float64) {
	if c := consumed(mode, table, units); c != nil {
		*l = append(*l, *c)
	}
}

// collectionMetrics answers ReturnItemCollectionMetrics for a write into the
// item collection of key; key is nil on tables without local indexes.
func collectionMetrics(mode api.Optional[string], key item.Item) *api.ItemCollectionMetrics {
	if mode.Value != "SIZE" || key == nil {
		return nil
	}
	return &api.ItemCollectionMetrics{
		ItemCollectionKey:   key,
		SizeEstimateRangeGB: []float64{0, 1},
	}
}
