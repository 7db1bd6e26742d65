package partition

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/statordb/stator/item"
)

// The keys of a node's store. Integers are big-endian so that byte order is
// numeric order; the first byte is the key space.
//
//	group state  | 0x01 | group 8B | part 1B | ...                   part: 0 progress, 1 configuration,
//	                                                                 2 and group 8B source, 3 and index 4B backfill,
//	                                                                 4 members (package replication),
//	                                                                 5 and place 4B requests, 6 and node 8B floor,
//	                                                                 7 restored, 8 birth, 9 and child 8B split,
//	                                                                 10 transactions
//	catalog      | 0x02 | ...                                        owned by package table
//	change       | 0x03 | group 8B | sequence 8B |
//	row          | 0x10 | table 4B | index 1B | hash 8B | partition key | sort key |
//	local entry  | 0x10 | table 4B | index 1B | hash 8B | partition key | index sort key | sort key |
//	global entry | 0x10 | index 4B | 0        | hash 8B | index partition key | index sort keys | partition key | sort key |
//	collection   | 0x10 | table 4B | 0xff     | hash 8B | partition key |
//	prepared     | 0x10 | table 4B | 0x80     | hash 8B | partition key | sort key |      prepared.go
//	decision     | 0x10 | table 4B | 0x81     | hash 8B of the anchor | id 16B |          decision.go
//	token        | 0x10 | table 4B | 0x84 to 0x87 | hash 8B of the anchor | token 16B |   token.go
//
// index is 0 for the base table, and 1 to 5 for its local indexes; a global
// index has a number of its own in place of the table's. In the keys of rows with
// facets 0x40 is added to it. hash is xxhash64 of the
// partition key bytes that follow it; it is what partitions divide. The
// partition key (of several attributes, one after the other) is self-delimiting,
// and so are the sort keys of an index (item.AppendKeyPart). So the sort key of
// the table, which ends a key, needs no framing and sorts as DynamoDB sorts
// (item.AppendKey); in an entry it makes the key unique.
const (
	spaceGroup byte = 0x01
	// SpaceCatalog begins the keys that package table keeps for its catalog.
	SpaceCatalog byte = 0x02
	spaceChange  byte = 0x03
	spaceRow     byte = 0x10

	partProgress byte = 0
	partConfig   byte = 1
	partSource   byte = 2
	partBackfill byte = 3
	partMembers  byte = 4
	partWindow   byte = 5
	partFloor    byte = 6
	partRestored byte = 7
	partBirth    byte = 8
	partSplit    byte = 9
	partTransact byte = 10

	baseIndex        byte = 0
	maxLocalIndexes  byte = 5
	facetsFlag       byte = 0x40
	collectionsIndex byte = 0xff
	preparedIndex    byte = 0x80
	decisionsIndex   byte = 0x81
	tokensIndex      byte = 0x84 // the first of tokenSlots

	indexOffset = 1 + 4
	hashOffset  = indexOffset + 1
	rowPrefix   = hashOffset + 8 // bytes before the partition key
)

func appendGroupKey(dst []byte, group uint64, part byte) []byte {
	dst = append(slices.Grow(dst, 1+8+1+8), spaceGroup) // and room for what follows in most
	dst = binary.BigEndian.AppendUint64(dst, group)
	return append(dst, part)
}

// GroupSpan returns the keys [lower, upper) that hold the state of a group,
// without its rows and changes.
func GroupSpan(group uint64) (lower, upper []byte) {
	return appendGroupKey(nil, group, 0), appendGroupKey(nil, group, 0xff)
}

// ChangeSpan returns the keys [lower, upper) of all change records of a group.
func ChangeSpan(group uint64) (lower, upper []byte) {
	return appendChangeKey(nil, group, 0), Successor(appendChangeKey(nil, group, ^uint64(0)))
}

func appendChangeKey(dst []byte, group, sequence uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(slices.Grow(dst, 1+8+8), spaceChange), group)
	return binary.BigEndian.AppendUint64(dst, sequence)
}

func appendSourceKey(dst []byte, group, source uint64) []byte {
	return binary.BigEndian.AppendUint64(appendGroupKey(dst, group, partSource), source)
}

func appendBackfillKey(dst []byte, group uint64, index uint32) []byte {
	return binary.BigEndian.AppendUint32(appendGroupKey(dst, group, partBackfill), index)
}

// TableSpan returns the keys [lower, upper) of all rows of a table.
func TableSpan(table uint32) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint32([]byte{spaceRow}, table)
	if table == ^uint32(0) {
		return lower, []byte{spaceRow + 1}
	}
	return lower, binary.BigEndian.AppendUint32([]byte{spaceRow}, table+1)
}

// RowSpans returns the keys [lower, upper) of everything that a partition with the
// hashes [first, last] may keep under the id of a table or global index: rows, the
// entries of local indexes and the sizes of item collections, with and without
// facets.
func RowSpans(table uint32, first, last uint64) (spans [][2][]byte) {
	if first == 0 && last == ^uint64(0) {
		lower, upper := TableSpan(table)
		return [][2][]byte{{lower, upper}}
	}
	for index := range 256 {
		place := byte(index)
		if number := place &^ facetsFlag; number > maxLocalIndexes && place != collectionsIndex && !isTransactPlace(place) {
			continue
		}
		lower := binary.BigEndian.AppendUint64(appendPlace(nil, table, place), first)
		upper := Successor(appendPlace(nil, table, place))
		if last != ^uint64(0) {
			upper = binary.BigEndian.AppendUint64(appendPlace(nil, table, place), last+1)
		}
		spans = append(spans, [2][]byte{lower, upper})
	}
	return spans
}

// isTransactPlace reports whether a place in row keys has what transactions leave there.
func isTransactPlace(place byte) bool {
	return place == preparedIndex || place == decisionsIndex || place >= tokensIndex && place < tokensIndex+tokenSlots
}

// HashSpan returns the row keys [lower, upper) of the base table (x nil) or of
// an index whose hash lies in [first, last]; both ends are included because the
// largest hash has no successor.
func (s *Schema) HashSpan(x *Index, first, last uint64) (lower, upper []byte) {
	return hashSpan(s.appendPlace(nil, x), first, last)
}

func hashSpan(place []byte, first, last uint64) (lower, upper []byte) {
	lower = binary.BigEndian.AppendUint64(append(make([]byte, 0, len(place)+8), place...), first)
	if last == ^uint64(0) {
		return lower, Successor(place)
	}
	return lower, binary.BigEndian.AppendUint64(place, last+1)
}

// appendPlace appends what precedes the hash in the row keys of the base table
// (x nil) or of an index.
func (s *Schema) appendPlace(dst []byte, x *Index) []byte {
	flag := s.facetsFlag()
	switch {
	case x == nil:
		return appendPlace(dst, s.Table, flag|baseIndex)
	case x.Local:
		return appendPlace(dst, s.Table, flag|byte(x.ID))
	}
	return appendPlace(dst, x.ID, flag|baseIndex)
}

// facetsFlag is added to the index in the row keys of a table with facets.
func (s *Schema) facetsFlag() byte {
	if len(s.Facets) > 0 {
		return facetsFlag
	}
	return 0
}

func appendPlace(dst []byte, table uint32, index byte) []byte {
	dst = append(slices.Grow(dst, 1+4+1+8), spaceRow) // and room for a hash
	dst = binary.BigEndian.AppendUint32(dst, table)
	return append(dst, index)
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
	dst = item.AppendPartitionKey(reserveHash(s.appendPlace(dst, nil)), hash)
	putHash(dst[at:])
	return dst
}

// AppendEntryKey appends the row key of an item's entry in an index. The item,
// or the part of one, has the keys of the index and of the table.
func (s *Schema) AppendEntryKey(dst []byte, x *Index, it item.Item) []byte {
	at := len(dst)
	dst = reserveHash(s.appendPlace(dst, x))
	for _, k := range x.Keys[:x.Hashes] {
		v, _ := it.Get(k.Name)
		dst = item.AppendPartitionKey(dst, v)
	}
	putHash(dst[at:])
	for _, k := range x.Keys[x.Hashes:] {
		v, _ := it.Get(k.Name)
		dst = item.AppendKeyPart(dst, v)
	}
	if !x.Local {
		v, _ := it.Get(s.Hash.Name)
		dst = item.AppendPartitionKey(dst, v)
	}
	if s.HasSort() {
		v, _ := it.Get(s.Sort.Name)
		dst = item.AppendKey(dst, v)
	}
	return dst
}

// AppendEntriesKey appends the prefix shared by the row keys of all entries of
// an index with the given values of its partition key attributes.
func (s *Schema) AppendEntriesKey(dst []byte, x *Index, hashes []item.Value) []byte {
	at := len(dst)
	dst = reserveHash(s.appendPlace(dst, x))
	for _, v := range hashes {
		dst = item.AppendPartitionKey(dst, v)
	}
	putHash(dst[at:])
	return dst
}

// appendCollectionSizeKey appends the key of the record that holds the size of
// the item collection that a row belongs to.
func (s *Schema) appendCollectionSizeKey(dst []byte, it item.Item) []byte {
	hash, _ := it.Get(s.Hash.Name)
	at := len(dst)
	dst = item.AppendPartitionKey(reserveHash(appendPlace(dst, s.Table, collectionsIndex)), hash)
	putHash(dst[at:])
	return dst
}

func reserveHash(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0, 0, 0) }

// putHash fills in the hash of a row key that ends with its partition key.
func putHash(key []byte) {
	binary.BigEndian.PutUint64(key[hashOffset:], xxhash.Sum64(key[rowPrefix:]))
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
