package table

import (
	"iter"
	"slices"
	"strings"

	"github.com/statordb/stator/expr"
)

// checkKeyPaths refuses document paths that go into a key attribute of the
// table or of one of its indexes: keys are scalars.
func (t *liveTable) checkKeyPaths(paths iter.Seq[expr.Path]) error {
	for path := range paths {
		if len(path) < 2 {
			continue
		}
		kind := ""
		switch {
		case t.schema.IsKey(path.Top()):
			kind = "Key"
		case t.isIndexKey(path.Top()):
			kind = "IndexKey"
		default:
			continue
		}
		return refuse("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: %s: %s",
			kind, path.Top())
	}
	return nil
}

func (t *liveTable) isIndexKey(name string) bool {
	for i := range t.schema.Indexes {
		for _, k := range t.schema.Indexes[i].Keys {
			if k.Name == name {
				return true
			}
		}
	}
	return false
}

// checkFilterKeys refuses a query's filter that mentions a key attribute of
// what is queried: those belong into the key condition.
func checkFilterKeys(k *keySet, filter *expr.Condition, legacy bool) error {
	for path := range filter.Paths() {
		if k.has(path.Top()) {
			parameter := "Filter Expression"
			if legacy {
				parameter = "QueryFilter"
			}
			return refuse("%s can only contain non-primary key attributes: Primary key attribute: %s", parameter, path.Top())
		}
	}
	return nil
}

// checkProjected refuses what a global index cannot answer because it does not
// hold the attributes; a local index fetches them from the table.
func (t *liveTable) checkProjected(k *keySet, projection *expr.Projection, choice string) error {
	if !k.global || k.definition.Projection.Type == projectAll {
		return nil
	}
	if choice == selectAll {
		return invalidValue("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL",
			k.definition.Name)
	}
	if projection == nil {
		return nil
	}
	if absent := t.absent(k, projection); len(absent) > 0 {
		return invalidValue("Global secondary index %s does not project [%s]", k.definition.Name, strings.Join(absent, ", "))
	}
	return nil
}

// absent returns the attributes of a projection that entries of an index lack.
func (t *liveTable) absent(k *keySet, projection *expr.Projection) (names []string) {
	for path := range projection.Paths() {
		name := path.Top()
		if !k.has(name) && !t.base.has(name) && !slices.Contains(k.definition.Projection.NonKeyAttributes, name) {
			names = append(names, name)
		}
	}
	return names
}
