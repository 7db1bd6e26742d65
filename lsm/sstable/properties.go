package sstable

import (
	"encoding/binary"
	"fmt"

	"github.com/statordb/stator/lsm/key"
)

// Properties describe the content of a table. They are stored in it.
type Properties struct {
	Number uint64 // Options.Number of the writer

	Entries      uint64 // point entries: values and tombstones, all versions
	Deletes      uint64 // tombstones among them
	RangeDeletes uint64
	UserKeys     uint64 // distinct user keys among the point entries

	KeyBytes   uint64 // of the user keys of all entries
	ValueBytes uint64 // of all values, before compression

	// Smallest and Largest bound everything in the table, range deletes
	// included. A range delete ends before its end key; where it is the last
	// thing in the table, Largest is that key with key.MaxTrailer, which sorts
	// before every version of it. Both are zero for an empty table.
	Smallest, Largest key.Internal

	SmallestSeq, LargestSeq key.SeqNum

	DataBlocks  uint64
	DataBytes   uint64 // of the data blocks in the file
	FilterBytes uint64
	IndexBytes  uint64

	Expiry Expiry // zero also in tables of older versions
}

// Meta is what the writer of a table knows about it in the end.
type Meta struct {
	Size uint64 // of the file, in bytes
	Properties
}

// String prints the properties in one line.
func (p Properties) String() string {
	return fmt.Sprintf("table %d: [%v, %v] %d entries, %d deletes, %d range deletes, seq %d-%d, %d blocks",
		p.Number, p.Smallest, p.Largest, p.Entries, p.Deletes, p.RangeDeletes,
		p.SmallestSeq, p.LargestSeq, p.DataBlocks)
}

// addEntry counts a point entry. It widens only the range of sequence numbers:
// whoever adds entries in order knows the bounds, and calls widen with them.
func (p *Properties) addEntry(user []byte, t key.Trailer, valueBytes int, isNewKey bool) {
	if p.empty() {
		p.Smallest = key.Internal{User: user, Trailer: t}.Clone()
		p.Largest = p.Smallest
	}
	p.addSeq(t.SeqNum())
	p.Entries++
	if isNewKey {
		p.UserKeys++
	}
	if t.Kind() == key.Delete {
		p.Deletes++
	}
	p.KeyBytes += uint64(len(user))
	p.ValueBytes += uint64(valueBytes)
}

// addRangeDelete counts d and takes it into the bounds.
func (p *Properties) addRangeDelete(d RangeDelete) {
	if p.empty() {
		p.Smallest, p.Largest = d.smallest().Clone(), d.largest().Clone()
	}
	p.addSeq(d.Seq)
	p.RangeDeletes++
	p.KeyBytes += uint64(len(d.Start))
	p.ValueBytes += uint64(len(d.End))
	p.widen(d.smallest())
	p.widen(d.largest())
}

func (p *Properties) empty() bool { return p.Entries+p.RangeDeletes == 0 }

// widen takes k into the bounds.
func (p *Properties) widen(k key.Internal) {
	if k.Compare(p.Smallest) < 0 {
		p.Smallest = k.Clone()
	}
	if k.Compare(p.Largest) > 0 {
		p.Largest = k.Clone()
	}
}

func (p *Properties) addSeq(seq key.SeqNum) {
	if p.empty() {
		p.SmallestSeq, p.LargestSeq = seq, seq
	}
	p.SmallestSeq = min(p.SmallestSeq, seq)
	p.LargestSeq = max(p.LargestSeq, seq)
}

// The properties block is a list of properties in ascending order of tag:
//
//	tag uvarint | length uvarint | value
//
// A value is an 8-byte integer, or for tags 20 and 21 an internal key: trailer
// 8 B, then the user key. Readers skip tags they do not know. The tags up to 21
// are present; 22 to 25 are, all of them, if entries expire.
const (
	tagNumber       = 1
	tagEntries      = 2
	tagDeletes      = 3
	tagRangeDeletes = 4
	tagUserKeys     = 5
	tagKeyBytes     = 6
	tagValueBytes   = 7
	tagSmallestSeq  = 8
	tagLargestSeq   = 9
	tagDataBlocks   = 10
	tagDataBytes    = 11
	tagFilterBytes  = 12
	tagIndexBytes   = 13
	tagSmallest     = 20
	tagLargest      = 21
	tagExpiring     = 22
	tagFirstExpiry  = 23
	tagLastExpiry   = 24
	tagHalfExpiry   = 25
)

// A property is one row of the list above; exactly one of number and key is set.
type property struct {
	tag    uint64
	number *uint64
	key    *key.Internal
}

// table lists p's fields in the order of the format.
func (p *Properties) table() []property {
	return []property{
		{tag: tagNumber, number: &p.Number},
		{tag: tagEntries, number: &p.Entries},
		{tag: tagDeletes, number: &p.Deletes},
		{tag: tagRangeDeletes, number: &p.RangeDeletes},
		{tag: tagUserKeys, number: &p.UserKeys},
		{tag: tagKeyBytes, number: &p.KeyBytes},
		{tag: tagValueBytes, number: &p.ValueBytes},
		{tag: tagSmallestSeq, number: (*uint64)(&p.SmallestSeq)},
		{tag: tagLargestSeq, number: (*uint64)(&p.LargestSeq)},
		{tag: tagDataBlocks, number: &p.DataBlocks},
		{tag: tagDataBytes, number: &p.DataBytes},
		{tag: tagFilterBytes, number: &p.FilterBytes},
		{tag: tagIndexBytes, number: &p.IndexBytes},
		{tag: tagSmallest, key: &p.Smallest},
		{tag: tagLargest, key: &p.Largest},
	}
}

// expiryTable is the part of table that only tables with entries that expire have.
func (p *Properties) expiryTable() []property {
	return []property{
		{tag: tagExpiring, number: &p.Expiry.Entries},
		{tag: tagFirstExpiry, number: &p.Expiry.First},
		{tag: tagLastExpiry, number: &p.Expiry.Last},
		{tag: tagHalfExpiry, number: &p.Expiry.Half},
	}
}

func (p *Properties) append(dst []byte) []byte {
	rows := p.table()
	if p.Expiry.Entries > 0 {
		rows = append(rows, p.expiryTable()...)
	}
	for _, row := range rows {
		dst = binary.AppendUvarint(dst, row.tag)
		if row.number != nil {
			dst = append(dst, 8)
			dst = little.AppendUint64(dst, *row.number)
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(8+len(row.key.User)))
		dst = little.AppendUint64(dst, uint64(row.key.Trailer))
		dst = append(dst, row.key.User...)
	}
	return dst
}

// parseProperties decodes a properties block; reason says why it cannot.
func parseProperties(b []byte) (p Properties, reason string) {
	known := append(p.table(), p.expiryTable()...)
	last := uint64(0)
	for len(b) > 0 {
		tag, value, rest, ok := nextProperty(b)
		if !ok || tag <= last {
			return p, "malformed property list"
		}
		last, b = tag, rest
		if len(known) == 0 || tag < known[0].tag {
			continue // a later version's
		}
		if tag > known[0].tag {
			break
		}
		if reason := known[0].set(value); reason != "" {
			return p, reason
		}
		known = known[1:]
	}
	if len(known) > 0 && known[0].tag != tagExpiring {
		return p, fmt.Sprintf("property %d is missing", known[0].tag)
	}
	if !p.Expiry.valid(p.Entries) {
		return p, "expiry makes no sense"
	}
	return p, ""
}

func nextProperty(b []byte) (tag uint64, value, rest []byte, ok bool) {
	tag, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, nil, false
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return 0, nil, nil, false
	}
	b = b[n:]
	return tag, b[:size], b[size:], true
}

func (row property) set(value []byte) (reason string) {
	if len(value) < 8 || row.number != nil && len(value) != 8 {
		return fmt.Sprintf("property %d has %d bytes", row.tag, len(value))
	}
	if row.number != nil {
		*row.number = little.Uint64(value)
		return ""
	}
	row.key.Trailer = key.Trailer(little.Uint64(value))
	if len(value) > 8 {
		row.key.User = append([]byte(nil), value[8:]...)
	}
	return ""
}
