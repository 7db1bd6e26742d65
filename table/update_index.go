package table

import (
	"slices"

	"github.com/statordb/stator/item"
)

// The part of UpdateTable that creates and deletes global indexes. What it begins
// is done by a task (build_index.go); until then the record says so.

// checkIndexUpdates finds faults that need no table to be seen.
func (u *UpdateTableRequest) checkIndexUpdates() error {
	var names []string
	for _, x := range u.GlobalIndexThroughput {
		if err := checkUnits(x.Throughput, x.Name); err != nil {
			return err
		}
		if x.Throughput == nil && x.OnDemand == nil && x.Warm == nil {
			return invalidValue("ProvisionedThroughput must be specified for index: %s", x.Name)
		}
		names = append(names, x.Name)
	}
	for i := range u.CreateIndexes {
		if err := checkUnits(u.CreateIndexes[i].Throughput, u.CreateIndexes[i].Name); err != nil {
			return err
		}
		names = append(names, u.CreateIndexes[i].Name)
	}
	names = append(names, u.DeleteIndexes...)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return invalidValue("Only one global secondary index update per index is allowed simultaneously. Index: %s", name)
		}
	}
	if len(u.CreateIndexes)+len(u.DeleteIndexes) > 1 {
		return &LimitError{Message: "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"}
	}
	return nil
}

// checkBuilding refuses what is not allowed while a global index of the table is
// being created or deleted: all but changes of throughput and, while items are
// brought to a new index, its deletion; Developer Guide, "Managing Global
// Secondary Indexes".
func (u *UpdateTableRequest) checkBuilding(r *record) error {
	if !r.building() {
		return nil
	}
	rest := *u
	rest.Throughput, rest.GlobalIndexThroughput, rest.DeleteIndexes = nil, nil, nil
	allowed := rest.empty()
	for _, name := range u.DeleteIndexes {
		place := r.placeOf(name)
		allowed = allowed && place != nil && place.status == indexCreating
	}
	for i := range r.places {
		allowed = allowed && r.places[i].status != indexDeleting
	}
	if allowed {
		return nil
	}
	return updating(r.def.Name)
}

func updating(name string) error {
	return &InUseError{Message: "Attempt to change a resource which is still in use: Table is being updated: " + name}
}

// placeOf returns the place of a global index by name, nil if there is none.
func (r *record) placeOf(name string) *indexPlace {
	for i := range r.def.GlobalIndexes {
		if r.def.GlobalIndexes[i].Name == name {
			return &r.places[i]
		}
	}
	return nil
}

// changePlaces applies the creation or deletion of an index. The lists of next are
// its own.
func (u *UpdateTableRequest) changePlaces(r, next *record) error {
	for i := range u.CreateIndexes {
		if err := u.checkNewIndex(next, &u.CreateIndexes[i]); err != nil {
			return err
		}
		next.addIndex(u.CreateIndexes[i], u.Attributes)
	}
	for _, name := range u.DeleteIndexes {
		place := next.placeOf(name)
		switch {
		case hasIndex(r.def.LocalIndexes, name):
			return invalidValue("Local secondary indexes cannot be deleted: %s", name)
		case place == nil:
			return &NotFoundError{Table: u.Table}
		}
		place.status = indexDeleting
	}
	return nil
}

// checkNewIndex checks a new index like one of CreateTable. Its keys must be
// defined by the request, even if they were before.
func (u *UpdateTableRequest) checkNewIndex(next *record, x *IndexDefinition) error {
	given := Definition{Attributes: u.Attributes, BillingMode: next.def.BillingMode}
	if err := checkGlobalKeys(&given, x); err != nil {
		return err
	}
	for _, k := range x.Keys {
		if old := next.def.typeOf(k.Name); old != 0 && old != given.typeOf(k.Name) {
			return redefined(k, old, given.typeOf(k.Name))
		}
	}
	if err := checkProjection(x); err != nil {
		return err
	}
	if hasIndex(next.def.GlobalIndexes, x.Name) || hasIndex(next.def.LocalIndexes, x.Name) {
		return refuse("Attempting to create an index which already exists: %s", x.Name)
	}
	if err := checkIndexBilling(&given, x); err != nil {
		return err
	}
	if err := checkWarm(given.implied(x.Throughput), x.Warm, x.Name); err != nil {
		return err
	}
	if len(next.def.GlobalIndexes) >= maxGlobalIndexes {
		return &LimitError{Message: "Subscriber limit exceeded: GlobalSecondaryIndex count exceeds the per-table limit of 20"}
	}
	total := next.def
	total.GlobalIndexes = append(slices.Clone(total.GlobalIndexes), *x)
	return checkProjectedTotal(&total)
}

func redefined(k KeyElement, old, asked item.Type) error {
	const schema = "Schema:[SchemaElement: key{"
	return invalidValue("Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. "+
		"Existing schema: "+schema+"%s:%s:%s}] New schema: "+schema+"%s:%s:%s}]", k.Name, old, k.Role, k.Name, asked, k.Role)
}

// addIndex adds a global index that is to be created, and definitions of its keys.
func (r *record) addIndex(x IndexDefinition, attributes []AttributeDefinition) {
	r.def.GlobalIndexes = append(r.def.GlobalIndexes, x)
	r.indexChanges = append(r.indexChanges, ThroughputChanges{})
	r.places = append(r.places, indexPlace{status: indexCreating, slots: evenSlots(len(r.slots))})
	for _, k := range x.Keys {
		if r.def.typeOf(k.Name) == 0 {
			at := slices.IndexFunc(attributes, func(a AttributeDefinition) bool { return a.Name == k.Name })
			r.def.Attributes = append(r.def.Attributes, attributes[at])
		}
	}
}

// dropIndex takes away the i-th global index and definitions that only it used.
// The lists of r are its own.
func (r *record) dropIndex(i int) {
	r.def.GlobalIndexes = slices.Delete(r.def.GlobalIndexes, i, i+1)
	r.indexChanges = slices.Delete(r.indexChanges, i, i+1)
	r.places = slices.Delete(r.places, i, i+1)
	used := r.def.usedNames()
	r.def.Attributes = slices.DeleteFunc(r.def.Attributes, func(a AttributeDefinition) bool { return !slices.Contains(used, a.Name) })
}

// withIndexes is with; f may change the lists that have to do with indexes.
func (r *record) withIndexes(f func(*record)) *record {
	return r.with(func(next *record) {
		next.def.GlobalIndexes = slices.Clone(r.def.GlobalIndexes)
		next.def.Attributes = slices.Clone(r.def.Attributes)
		next.indexChanges = slices.Clone(r.indexChanges)
		next.places = slices.Clone(r.places)
		f(next)
	})
}
