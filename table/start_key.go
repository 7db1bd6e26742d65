package table

import (
	"bytes"
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

const startKeyPrefix = "The provided starting key is invalid: "

var (
	errStartKey        = &ValidationError{Message: "The provided starting key is invalid"}
	errStartKeySchema  = &ValidationError{Message: partition.ErrKeySchema.Error()}
	errScanStartSchema = &ValidationError{Message: startKeyPrefix + partition.ErrKeySchema.Error()}
)

// startAttributes returns the attributes that a start key must have: the keys
// of the index, if any, and of the table.
func (t *liveTable) startAttributes(k *keySet) []partition.Key {
	keys := k.all()
	for _, key := range t.base.all() {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// hasAttributes reports whether start has exactly the given attributes.
func hasAttributes(start item.Item, keys []partition.Key) bool {
	if start.Len() != len(keys) {
		return false
	}
	return !slices.ContainsFunc(keys, func(k partition.Key) bool {
		_, ok := start.Get(k.Name)
		return !ok
	})
}

func hasTypes(start item.Item, keys []partition.Key) bool {
	return !slices.ContainsFunc(keys, func(k partition.Key) bool {
		v, _ := start.Get(k.Name)
		return v.Type() != k.Type
	})
}

// checkQueryStart checks the shape of a query's start key.
func (t *liveTable) checkQueryStart(k *keySet, start item.Item) error {
	keys := t.startAttributes(k)
	if !hasAttributes(start, keys) {
		return errStartKey
	}
	if !hasTypes(start, keys) {
		return errStartKeySchema
	}
	return t.checkStartSizes(k, start)
}

// checkScanStart checks the shape of a scan's start key.
func (t *liveTable) checkScanStart(k *keySet, start item.Item) error {
	keys := t.startAttributes(k)
	if !hasAttributes(start, keys) {
		if k.definition != nil {
			return errStartKey
		}
		return errScanStartSchema
	}
	if !hasTypes(start, keys) {
		return errScanStartSchema
	}
	return t.checkStartSizes(k, start)
}

// checkStartSizes refuses key values that no item can have.
func (t *liveTable) checkStartSizes(k *keySet, start item.Item) error {
	check := func(keys []partition.Key, hash bool) error {
		for _, key := range keys {
			v, _ := start.Get(key.Name)
			if err := partition.CheckKeyValue(key.Name, v, hash); err != nil {
				return refuse("%s%v", startKeyPrefix, err)
			}
		}
		return nil
	}
	for _, set := range []*keySet{k, &t.base} {
		if err := check(set.hashes, true); err != nil {
			return err
		}
		if err := check(set.ranges, false); err != nil {
			return err
		}
	}
	return nil
}

// checkBoundaries refuses a start key that the query could not have answered.
func (q *keyQuery) checkBoundaries(start item.Item) error {
	if len(q.keys.ranges) == 0 && q.keys.definition == nil {
		name := q.keys.hashes[0].Name
		v, _ := start.Get(name)
		return refuse("The provided exclusive start key is invalid: ExclusiveStartKey: {%s=AttributeValue: %s}", name, v)
	}
	for i, key := range q.keys.hashes {
		if v, _ := start.Get(key.Name); !v.Equal(q.hashes[i]) {
			if len(q.sorts) > 0 {
				return refuse("The query can return at most one row and cannot be restarted")
			}
			return refuse("The provided starting key is outside query boundaries based on provided conditions")
		}
	}
	for i, term := range q.sorts {
		if v, _ := start.Get(q.keys.ranges[i].Name); !admits(term, v) {
			return refuse("The provided starting key does not match the range key predicate")
		}
	}
	return nil
}

// admits reports whether a sort key value satisfies a term.
func admits(term *expr.KeyTerm, v item.Value) bool {
	lower, upper := sortBounds(term)
	key := item.AppendKey(nil, v)
	return bytes.Compare(key, lower) >= 0 && (upper == nil || bytes.Compare(key, upper) < 0)
}
