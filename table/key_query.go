package table

import (
	"slices"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
)

// A keyQuery is a key condition matched with a key schema.
type keyQuery struct {
	keys   *keySet
	hashes []item.Value    // value of each hash attribute
	sorts  []*expr.KeyTerm // conditions on the leading range attributes, in order
}

var (
	errKeyCondition     = &ValidationError{Message: "Query key condition not supported"}
	errKeyConditionType = &ValidationError{Message: "One or more parameter values were invalid: " +
		"Condition parameter type does not match schema type"}
)

func missedKey(name string) error {
	return refuse("Query condition missed key schema element: %s", name)
}

// matchKeys matches a key condition with a key schema: every hash attribute has
// one value; conditions on range attributes go from the first one on without a
// gap, and all but the last are equalities.
//
// Keys of one or two attributes share an error for more conditions than that.
func matchKeys(k *keySet, condition *expr.KeyCondition) (*keyQuery, error) {
	if len(condition.Terms) > max(2, len(k.all())) {
		return nil, &ValidationError{Message: expr.ErrKeyConditionLength.Message}
	}
	q := &keyQuery{keys: k}
	if err := q.matchHashes(condition); err != nil {
		return nil, err
	}
	if err := q.matchSorts(condition); err != nil {
		return nil, err
	}
	return q, q.checkValues(condition)
}

func (q *keyQuery) matchHashes(condition *expr.KeyCondition) error {
	for _, key := range q.keys.hashes {
		term := findTerm(condition, key.Name)
		if term == nil {
			return missedKey(key.Name)
		}
		if term.Op != expr.EQ {
			return errKeyCondition
		}
		q.hashes = append(q.hashes, term.Values[0])
	}
	return nil
}

func (q *keyQuery) matchSorts(condition *expr.KeyCondition) error {
	rest := len(condition.Terms) - len(q.keys.hashes)
	if rest > len(q.keys.ranges) {
		return errKeyCondition
	}
	for i, key := range q.keys.ranges[:rest] {
		term := findTerm(condition, key.Name)
		if term == nil {
			return missedKey(key.Name)
		}
		if i < rest-1 && term.Op != expr.EQ {
			return errKeyCondition
		}
		q.sorts = append(q.sorts, term)
	}
	return nil
}

// checkValues checks types before sizes, hash before range.
func (q *keyQuery) checkValues(condition *expr.KeyCondition) error {
	keys := q.keys.all()[:len(condition.Terms)]
	for _, key := range keys {
		for _, v := range findTerm(condition, key.Name).Values {
			if v.Type() != key.Type {
				return errKeyConditionType
			}
		}
	}
	for i, key := range keys {
		for _, v := range findTerm(condition, key.Name).Values {
			if len(v.Bytes()) == 0 && v.Type() != item.N {
				return invalidValue("%s", partition.EmptyKey(key.Name, v)) // not the words of a Key parameter
			}
			if err := partition.CheckKeyValue(key.Name, v, i < len(q.keys.hashes)); err != nil {
				return refusal(err)
			}
		}
	}
	return nil
}

func findTerm(condition *expr.KeyCondition, name string) *expr.KeyTerm {
	at := slices.IndexFunc(condition.Terms, func(t expr.KeyTerm) bool { return t.Attr == name })
	if at < 0 {
		return nil
	}
	return &condition.Terms[at]
}

// span returns the row keys [lower, upper) of the table or index that the query
// reads.
func (q *keyQuery) span(schema *partition.Schema) (lower, upper []byte) {
	if q.keys.index != nil {
		return q.entrySpan(schema)
	}
	prefix := schema.AppendCollectionKey(nil, q.hashes[0])
	if len(q.sorts) == 0 {
		return prefix, partition.Successor(slices.Clone(prefix))
	}
	from, to := sortBounds(q.sorts[0])
	lower = slices.Concat(prefix, from)
	if to == nil {
		return lower, partition.Successor(prefix)
	}
	return lower, slices.Concat(prefix, to)
}

// entrySpan is span for an index. Other parts follow the sort keys of an entry,
// so a bound takes in, or leaves out, everything that begins with it.
func (q *keyQuery) entrySpan(schema *partition.Schema) (lower, upper []byte) {
	prefix := schema.AppendEntriesKey(nil, q.keys.index, q.hashes)
	for _, term := range q.sorts {
		if term.Op != expr.EQ {
			return entryBounds(prefix, term)
		}
		prefix = item.AppendKeyPart(prefix, term.Values[0])
	}
	return prefix, partition.Successor(slices.Clone(prefix))
}

// entryBounds returns the keys [lower, upper) that begin with prefix and go on
// with the part of a sort key that satisfies the term.
func entryBounds(prefix []byte, term *expr.KeyTerm) (lower, upper []byte) {
	key := item.AppendKeyPart(slices.Clone(prefix), term.Values[0])
	end := func(b []byte) []byte { return partition.Successor(slices.Clone(b)) }
	switch term.Op {
	case expr.LT:
		return prefix, key
	case expr.LE:
		return prefix, end(key)
	case expr.GT:
		return end(key), end(prefix)
	case expr.GE:
		return key, end(prefix)
	case expr.BETWEEN:
		return key, end(item.AppendKeyPart(slices.Clone(prefix), term.Values[1]))
	}
	begin := item.AppendKeyPrefix(slices.Clone(prefix), term.Values[0]) // begins_with
	return begin, end(begin)
}

// sortBounds returns the encoded sort keys [lower, upper) that satisfy a term;
// upper nil = no bound. The least key above k is k followed by a zero byte.
func sortBounds(term *expr.KeyTerm) (lower, upper []byte) {
	key := item.AppendKey(nil, term.Values[0])
	after := append(slices.Clone(key), 0)
	switch term.Op {
	case expr.EQ:
		return key, after
	case expr.LT:
		return nil, key
	case expr.LE:
		return nil, after
	case expr.GT:
		return after, nil
	case expr.GE:
		return key, nil
	case expr.BETWEEN:
		return key, append(item.AppendKey(nil, term.Values[1]), 0)
	}
	return key, partition.Successor(slices.Clone(key)) // begins_with
}
