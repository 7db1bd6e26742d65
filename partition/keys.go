package partition

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/item"
)

// The keys of a node's store. Integers are big-endian so that byte order is
// numeric order; the first byte is the key space.
//
//	group state  | 0x01 | group 8B | part 1B |                       part: 0 progress, 1 configuration
//	catalog      | 0x02 | ...                                        owned by package table
//	row          | 0x10 | table 4B | index 1B | hash 8B | partition key | sort key |
//
// index is 0 for the base table. hash is xxhash64 of the partition key bytes
// that follow it; it is what partitions divide. The partition key is
// self-delimiting, so the sort key, which ends the row key, needs no framing
// and sorts as DynamoDB sorts (item.AppendKey).
const (
	spaceGroup byte = 0x01
	// SpaceCatalog begins the keys that package table keeps for its catalog.
	SpaceCatalog byte = 0x02
	spaceRow     byte = 0x10

	partProgress byte = 0
	partConfig   byte = 1

	baseIndex byte = 0

	hashOffset = 1 + 4 + 1
	rowPrefix  = hashOffset + 8 // bytes before the partition key
)

func appendGroupKey(dst []byte, group uint64, part byte) []byte {
	dst = append(dst, spaceGroup)
	dst = binary.BigEndian.AppendUint64(dst, group)
	return append(dst, part)
}

// GroupSpan returns the keys [lower, upper) that hold the state of a group,
// without its rows.
func GroupSpan(group uint64) (lower, upper []byte) {
	return appendGroupKey(nil, group, 0), appendGroupKey(nil, group, 0xff)
}

// TableSpan returns the keys [lower, upper) of all rows of a table.
func TableSpan(table uint32) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint32([]byte{spaceRow}, table)
	if table == ^uint32(0) {
		return lower, []byte{spaceRow + 1}
	}
	return lower, binary.BigEndian.AppendUint32([]byte{spaceRow}, table+1)
}

// HashSpan returns the row keys [lower, upper) of the base table whose hash
// lies in [first, last]; both ends are included because the largest hash has no
// successor.
func (s *Schema) HashSpan(first, last uint64) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint64(s.appendTable(nil), first)
	if last == ^uint64(0) {
		return lower, Successor(s.appendTable(nil))
	}
	return lower, binary.BigEndian.AppendUint64(s.appendTable(nil), last+1)
}

func (s *Schema) appendTable(dst []byte) []byte {
	dst = append(dst, spaceRow)
	dst = binary.BigEndian.AppendUint32(dst, s.Table)
	return append(dst, baseIndex)
}

// AppendRowKey appends the row key of an item, or of a key, that passed
// CheckKey or CheckItem.
func (s *Schema) AppendRowKey(dst []byte, it item.Item) []byte {
	hash, _ := it.Get(s.Hash.Name)
	dst = s.AppendCollectionKey(dst, hash)
	if s.HasSort() {
		sort, _ := it.Get(s.Sort.Name)
		dst = item.AppendKey(dst, sort)
	}
	return dst
}

// AppendCollectionKey appends the prefix shared by the row keys of all items
// with the given partition key value.
func (s *Schema) AppendCollectionKey(dst []byte, hash item.Value) []byte {
	at := len(dst)
	dst = append(s.appendTable(dst), 0, 0, 0, 0, 0, 0, 0, 0)
	dst = item.AppendPartitionKey(dst, hash)
	binary.BigEndian.PutUint64(dst[at+hashOffset:], xxhash.Sum64(dst[at+rowPrefix:]))
	return dst
}

// RowHash returns the hash inside a row key.
func RowHash(key []byte) uint64 { return binary.BigEndian.Uint64(key[hashOffset:]) }

// Successor turns prefix into the least key above all keys that begin with it,
// in place. It returns nil when there is none.
func Successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			prefix[i]++
			return prefix[:i+1]
		}
	}
	return nil
}
