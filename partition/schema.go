package partition

import (
	"errors"
	"fmt"
	"slices"

	"github.com/statordb/stator/item"
)

// Limits of key values in bytes; DynamoDB Developer Guide, "Service, account,
// and table quotas".
const (
	MaxHashKeyBytes = 2048
	MaxSortKeyBytes = 1024
	// MaxItemBytes bounds an item, names and values together.
	MaxItemBytes = 400 << 10
)

// An InvalidError refuses a request that does not fit the schema or the item it
// meets. Message is the complete text for the client.
type InvalidError struct{ Message string }

func (e *InvalidError) Error() string { return e.Message }

func invalid(format string, args ...any) error {
	return &InvalidError{Message: fmt.Sprintf(format, args...)}
}

// ErrKeySchema refuses a key with missing, additional or wrong-typed attributes.
var ErrKeySchema error = &InvalidError{Message: "The provided key element does not match the schema"}

// A Key is one key attribute of a table or index.
type Key struct {
	Name string
	Type item.Type // S, N or B
}

// An Index is what a partition must know of a secondary index: to refuse items
// that could never be indexed, and to keep its entries.
type Index struct {
	Name  string
	Local bool
	// ID says where the entries lie: the number of a local index among those of
	// its table, from 1, or the table id of a global index. 0 = this index has
	// no entries, because the table is older than they are.
	ID     uint32
	Hashes int   // the first Hashes of Keys are the partition key
	Keys   []Key // all key attributes in order

	// An entry has the keys of index and table, and the attributes named in
	// Projected or, with All, every attribute.
	All       bool
	Projected []string
}

// A Schema is the part of a table's definition that its partitions need. It is
// immutable.
type Schema struct {
	Table   uint32 // table id; part of every row key
	Hash    Key
	Sort    Key // Name "" = the table has no sort key
	Indexes []Index
	// Facets are the attributes whose values rows are marked with, at most MaxFacets
	// (facets.go). They never change, because no row is written anew for it.
	Facets []string
}

func (s *Schema) hasGlobal(id uint32) bool {
	return slices.ContainsFunc(s.Indexes, func(x Index) bool { return !x.Local && x.ID == id })
}

// HasSort reports whether the table has a sort key.
func (s *Schema) HasSort() bool { return s.Sort.Name != "" }

// IsKey reports whether name is an attribute of the primary key.
func (s *Schema) IsKey(name string) bool {
	return name == s.Hash.Name || s.HasSort() && name == s.Sort.Name
}

// CheckKey checks a primary key as it stands in a Key parameter: exactly the
// key attributes, of the right types, not empty, not too long.
func (s *Schema) CheckKey(key item.Item) error {
	want := 1
	if s.HasSort() {
		want = 2
	}
	if key.Len() != want {
		return ErrKeySchema
	}
	return s.CheckKeyOf(key)
}

// CheckKeyOf checks the primary key inside a whole item and reports any misfit
// the way batch writes do.
func (s *Schema) CheckKeyOf(it item.Item) error {
	hash, ok := it.Get(s.Hash.Name)
	if !ok || hash.Type() != s.Hash.Type {
		return ErrKeySchema
	}
	if !s.HasSort() {
		return checkKeyValue(s.Hash.Name, hash, MaxHashKeyBytes)
	}
	sort, ok := it.Get(s.Sort.Name)
	if !ok || sort.Type() != s.Sort.Type {
		return ErrKeySchema
	}
	if err := checkKeyValue(s.Hash.Name, hash, MaxHashKeyBytes); err != nil {
		return err
	}
	return checkKeyValue(s.Sort.Name, sort, MaxSortKeyBytes)
}

// CheckItem checks the primary key inside a whole item and reports a misfit the
// way PutItem does: what is missing before what has the wrong type, before what
// has the wrong size.
func (s *Schema) CheckItem(it item.Item) error {
	for _, k := range s.keys() {
		if _, ok := it.Get(k.Name); !ok {
			return invalid("One or more parameter values were invalid: Missing the key %s in the item", k.Name)
		}
	}
	for _, k := range s.keys() {
		if v, _ := it.Get(k.Name); v.Type() != k.Type {
			return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s",
				k.Name, k.Type, v.Type())
		}
	}
	return s.CheckKeyOf(it)
}

func (s *Schema) keys() []Key {
	if s.HasSort() {
		return []Key{s.Hash, s.Sort}
	}
	return []Key{s.Hash}
}

// CheckKeyValue checks the size of one key value: hash says which limit holds.
func CheckKeyValue(name string, v item.Value, hash bool) error {
	if hash {
		return checkKeyValue(name, v, MaxHashKeyBytes)
	}
	return checkKeyValue(name, v, MaxSortKeyBytes)
}

func checkKeyValue(name string, v item.Value, limit int) error {
	if v.Type() == item.N {
		return nil // a number has at least one digit and at most 21 bytes
	}
	size := len(v.Bytes())
	if size == 0 {
		return invalid("One or more parameter values are not valid. %s", EmptyKey(name, v))
	}
	if size > limit {
		return keyTooLong(limit)
	}
	return nil
}

// EmptyKey says that the key attribute name is empty. What goes in front depends
// on the parameter that has it.
func EmptyKey(name string, v item.Value) string {
	return fmt.Sprintf("The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", typeWord(v), name)
}

func typeWord(v item.Value) string {
	if v.Type() == item.B {
		return "binary"
	}
	return "string"
}

func keyTooLong(limit int) error {
	if limit == MaxHashKeyBytes {
		return invalid("One or more parameter values were invalid: " +
			"Size of hashkey has exceeded the maximum size limit of2048 bytes")
	}
	return invalid("One or more parameter values were invalid: " +
		"Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
}

// CheckIndexKeys refuses an item whose attribute is a key of an index but has
// another type, is empty or too long. A missing attribute is fine: the item is
// then not in that index.
func (s *Schema) CheckIndexKeys(it item.Item) error {
	for i := range s.Indexes {
		x := &s.Indexes[i]
		for j, k := range x.Keys {
			v, ok := it.Get(k.Name)
			if !ok {
				continue
			}
			switch fault := keyFault(k, v, x.limit(j)); {
			case errors.Is(fault, errKeyType):
				return invalid("One or more parameter values were invalid: "+
					"Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", k.Name, k.Type, v.Type(), x.Name)
			case errors.Is(fault, errKeyEmpty):
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. "+
					"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s",
					typeWord(v), x.Name, k.Name)
			case errors.Is(fault, errKeyLong):
				return keyTooLong(x.limit(j))
			}
		}
	}
	return nil
}

// CheckUpdatedIndexKeys is CheckIndexKeys for what an update makes of
// attributes, with the texts of UpdateItem. updated returns the new value of an
// attribute, and false for one that is not to be judged: removed, left alone
// (it may be older than the index) or not known yet.
func (s *Schema) CheckUpdatedIndexKeys(updated func(name string) (item.Value, bool)) error {
	for i := range s.Indexes {
		x := &s.Indexes[i]
		for j, k := range x.Keys {
			v, ok := updated(k.Name)
			if !ok {
				continue
			}
			switch fault := keyFault(k, v, x.limit(j)); {
			case errors.Is(fault, errKeyType):
				return invalid("The update expression attempted to update the secondary index key to unsupported type")
			case errors.Is(fault, errKeyEmpty):
				return invalid("One or more parameter values are not valid. "+
					"The update expression attempted to update a secondary index key to a value that is not supported. "+
					"The AttributeValue for a key attribute cannot contain an empty %s value.", typeWord(v))
			case errors.Is(fault, errKeyLong):
				return invalid("The update expression attempted to update the secondary index key beyond allowed size limits")
			}
		}
	}
	return nil
}

// limit returns the longest value allowed for the j-th key attribute.
func (x *Index) limit(j int) int {
	if j < x.Hashes {
		return MaxHashKeyBytes
	}
	return MaxSortKeyBytes
}

var (
	errKeyType  = errors.New("partition: key attribute has another type")
	errKeyEmpty = errors.New("partition: key attribute is empty")
	errKeyLong  = errors.New("partition: key attribute is too long")
)

// keyFault says why v cannot be the key attribute k, or nil.
func keyFault(k Key, v item.Value, limit int) error {
	if v.Type() != k.Type {
		return errKeyType
	}
	if k.Type == item.N {
		return nil
	}
	switch n := len(v.Bytes()); {
	case n == 0:
		return errKeyEmpty
	case n > limit:
		return errKeyLong
	}
	return nil
}
