package partition

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/statordb/stator/item"
)

// A Config tells a partition what it is a part of. It is set by a Configure
// command and kept beside the rows.
type Config struct {
	// Version orders configurations: an older one never replaces a newer one,
	// so proposing a Configure again is harmless.
	Version     uint64
	First, Last uint64 // the hashes this partition owns: [First, Last]
	// Entries says that this is a partition of a global index: it holds the
	// entries of Schema.Indexes[0] and no items.
	Entries bool
	Schema  Schema
}

// Owns reports whether hash belongs to the partition.
func (c *Config) Owns(hash uint64) bool { return c.First <= hash && hash <= c.Last }

// Keeps reports whether the partition has kept the entries of a local index
// from its first row on.
func (c *Config) Keeps(x *Index) bool {
	return slices.ContainsFunc(c.Schema.Indexes, func(y Index) bool { return y.Local && y.ID == x.ID && y.Name == x.Name })
}

// A configuration record, in a Configure command and in the store. Integers
// are little-endian; text is a uvarint size and that many bytes.
//
//	+-----------+------------+----------+---------+----------+
//	| format 1B | version 8B | first 8B | last 8B | table 4B |
//	+-----------+------------+----------+---------+----------+
//	| keys 1B | hash key | sort key | index count uvarint | index ... | and in format 2 | entries 1B |
//	+---------+----------+----------+---------------------+-----------+                 +------------+
//	| count 1B | name text ... |  facets, in format 3, which otherwise is like 2
//	+----------+---------------+
//
//	key:   | name text | type 1B |
//	index: | name text | local 1B | hashes 1B | key count 1B | key ... | and in format 2
//	       | id 4B | projection 1B | name count uvarint | name text ... |
//
// format is 3 if there are facets; else 2, or 1 as long as no index has entries; keys is 1, or 2 when there
// is a sort key; type is the byte of item.Type; projection is 1 if all attributes
// are projected; entries is 1 for a partition of a global index.
const (
	configFormat        byte = 1
	configFormatEntries byte = 2
	configFormatFacets  byte = 3
	configFixed              = 1 + 8 + 8 + 8 + 4
)

func (c *Config) format() byte {
	if len(c.Schema.Facets) > 0 {
		return configFormatFacets
	}
	if c.Entries || slices.ContainsFunc(c.Schema.Indexes, func(x Index) bool { return x.ID != 0 }) {
		return configFormatEntries
	}
	return configFormat
}

func (c *Config) append(dst []byte) []byte {
	format := c.format()
	dst = append(dst, format)
	dst = binary.LittleEndian.AppendUint64(dst, c.Version)
	dst = binary.LittleEndian.AppendUint64(dst, c.First)
	dst = binary.LittleEndian.AppendUint64(dst, c.Last)
	dst = binary.LittleEndian.AppendUint32(dst, c.Schema.Table)
	keys := c.Schema.keys()
	dst = append(dst, byte(len(keys)))
	for _, k := range keys {
		dst = k.append(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Schema.Indexes)))
	for i := range c.Schema.Indexes {
		dst = c.Schema.Indexes[i].append(dst, format)
	}
	if format >= configFormatEntries {
		entries := byte(0)
		if c.Entries {
			entries = 1
		}
		dst = append(dst, entries)
	}
	if format == configFormatFacets {
		dst = append(dst, byte(len(c.Schema.Facets)))
		for _, name := range c.Schema.Facets {
			dst = appendSized(dst, []byte(name))
		}
	}
	return dst
}

func (k Key) append(dst []byte) []byte {
	return append(appendSized(dst, []byte(k.Name)), byte(k.Type))
}

func (x *Index) append(dst []byte, format byte) []byte {
	dst = appendSized(dst, []byte(x.Name))
	local := byte(0)
	if x.Local {
		local = 1
	}
	dst = append(dst, local, byte(x.Hashes), byte(len(x.Keys)))
	for _, k := range x.Keys {
		dst = k.append(dst)
	}
	if format == configFormat {
		return dst
	}
	dst = binary.LittleEndian.AppendUint32(dst, x.ID)
	all := byte(0)
	if x.All {
		all = 1
	}
	dst = binary.AppendUvarint(append(dst, all), uint64(len(x.Projected)))
	for _, name := range x.Projected {
		dst = appendSized(dst, []byte(name))
	}
	return dst
}

func decodeConfig(b []byte) (*Config, error) {
	if len(b) < configFixed || b[0] < configFormat || b[0] > configFormatFacets {
		return nil, badConfig("frame")
	}
	c := &Config{
		Version: binary.LittleEndian.Uint64(b[1:]),
		First:   binary.LittleEndian.Uint64(b[9:]),
		Last:    binary.LittleEndian.Uint64(b[17:]),
	}
	c.Schema.Table = binary.LittleEndian.Uint32(b[25:])
	if c.First > c.Last {
		return nil, badConfig("hash range")
	}
	rest, err := c.Schema.decode(b[configFixed:], b[0])
	if err != nil {
		return nil, err
	}
	if b[0] >= configFormatEntries {
		if len(rest) == 0 || rest[0] > 1 || rest[0] == 1 && len(c.Schema.Indexes) != 1 {
			return nil, badConfig("entries")
		}
		c.Entries, rest = rest[0] == 1, rest[1:]
	}
	if b[0] == configFormatFacets {
		if rest, err = c.Schema.decodeFacets(rest); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, badConfig("bytes after the end")
	}
	if c.format() != b[0] {
		return nil, badConfig("format")
	}
	return c, nil
}

func (s *Schema) decode(b []byte, format byte) (rest []byte, err error) {
	if len(b) < 1 || b[0] < 1 || b[0] > 2 {
		return nil, badConfig("key count")
	}
	hasSort := b[0] == 2
	if s.Hash, b, err = decodeKey(b[1:]); err != nil {
		return nil, err
	}
	if hasSort {
		if s.Sort, b, err = decodeKey(b); err != nil {
			return nil, err
		}
	}
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, badConfig("index count")
	}
	b = b[n:]
	for range count {
		var x Index
		if x, b, err = decodeIndex(b, format); err != nil {
			return nil, err
		}
		s.Indexes = append(s.Indexes, x)
	}
	return b, nil
}

func (s *Schema) decodeFacets(b []byte) (rest []byte, err error) {
	if len(b) == 0 || b[0] == 0 || b[0] > MaxFacets {
		return nil, badConfig("facets")
	}
	count, b := int(b[0]), b[1:]
	for range count {
		name, rest, ok := cutSized(b)
		if !ok || len(name) == 0 || slices.Contains(s.Facets, string(name)) {
			return nil, badConfig("facet")
		}
		s.Facets = append(s.Facets, string(name))
		b = rest
	}
	return b, nil
}

func decodeIndex(b []byte, format byte) (x Index, rest []byte, err error) {
	name, b, ok := cutSized(b)
	if !ok || len(b) < 3 || b[0] > 1 {
		return x, nil, badConfig("index")
	}
	x = Index{Name: string(name), Local: b[0] == 1, Hashes: int(b[1])}
	count := int(b[2])
	if x.Hashes > count {
		return x, nil, badConfig("index keys")
	}
	b = b[3:]
	for range count {
		var k Key
		if k, b, err = decodeKey(b); err != nil {
			return x, nil, err
		}
		x.Keys = append(x.Keys, k)
	}
	if format == configFormat {
		return x, b, nil
	}
	b, err = x.decodeEntries(b)
	return x, b, err
}

// decodeEntries decodes what format 2 adds to an index.
func (x *Index) decodeEntries(b []byte) (rest []byte, err error) {
	if len(b) < 5 || b[4] > 1 {
		return nil, badConfig("projection")
	}
	x.ID, x.All = binary.LittleEndian.Uint32(b), b[4] == 1
	if x.Local && x.ID >= uint32(collectionsIndex) || x.Hashes == 0 {
		return nil, badConfig("index number")
	}
	count, n := binary.Uvarint(b[5:])
	if n <= 0 || count > uint64(len(b)) {
		return nil, badConfig("projected attributes")
	}
	b = b[5+n:]
	for range count {
		name, rest, ok := cutSized(b)
		if !ok || len(name) == 0 {
			return nil, badConfig("projected attribute")
		}
		x.Projected = append(x.Projected, string(name))
		b = rest
	}
	return b, nil
}

func decodeKey(b []byte) (k Key, rest []byte, err error) {
	name, b, ok := cutSized(b)
	if !ok || len(name) == 0 || len(b) < 1 {
		return k, nil, badConfig("key")
	}
	k = Key{Name: string(name), Type: item.Type(b[0])}
	switch k.Type {
	case item.S, item.N, item.B:
		return k, b[1:], nil
	}
	return k, nil, badConfig("key type")
}

func badConfig(what string) error {
	return fmt.Errorf("%w: configuration: %s", ErrCommand, what)
}
