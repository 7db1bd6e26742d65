package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/capacity"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// MaxCollectionBytes bounds an item collection of a table with local indexes:
// its items and their entries together. DynamoDB Developer Guide, "Item
// collections in Local Secondary Indexes".
const MaxCollectionBytes = 10 << 30

// ErrCollectionFull refuses a write that would make an item collection larger
// than MaxCollectionBytes.
var ErrCollectionFull = errors.New("partition: item collection is full")

// An IndexUse is what a write did to the entry of its item in one index.
type IndexUse struct {
	Name               string
	Local              bool
	Change             capacity.IndexChange
	OldBytes, NewBytes int // of the entry; 0 = there was none
}

// An entryChange is what a write does to one entry.
type entryChange struct {
	index   *Index
	change  capacity.IndexChange
	old     item.Item // nil = no entry
	updated item.Item
}

// Has reports whether an item is in the index: it has all key attributes, and
// they are values that the index can order.
func (x *Index) Has(it item.Item) bool {
	for j, k := range x.Keys {
		v, ok := it.Get(k.Name)
		if !ok || keyFault(k, v, x.limit(j)) != nil {
			return false
		}
	}
	return true
}

// appendEntry appends what the index holds of an item that is in it. With All
// that is the item itself.
func (s *Schema) appendEntry(dst []byte, b *item.Builder, x *Index, it item.Item) []byte {
	set := func(name string) {
		if v, ok := it.Get(name); ok {
			b.Set(name, v)
		}
	}
	for _, k := range x.Keys {
		set(k.Name)
	}
	for _, k := range s.keys() {
		set(k.Name)
	}
	for _, name := range x.Projected {
		set(name)
	}
	return b.AppendItem(dst)
}

// Entry returns what an index holds of an item that is in it. With All that is
// the item itself.
func (s *Schema) Entry(x *Index, it item.Item) item.Item {
	if x.All {
		return it
	}
	return s.appendEntry(nil, new(item.Builder), x, it)
}

// entry returns the entry of an item in an index, nil if it has none. It is
// valid until the next command.
func (p *Partition) entry(s *Schema, x *Index, it item.Item) item.Item {
	if it == nil || !x.Has(it) {
		return nil
	}
	if x.All {
		return it
	}
	at := len(p.scratch.entries)
	p.scratch.entries = s.appendEntry(p.scratch.entries, &p.scratch.builder, x, it)
	return item.Item(p.scratch.entries[at:])
}

// A plan is what a write does to the indexes of its table. It is valid until the
// next command.
type plan struct {
	changes  []entryChange // entries that are not touched are left out
	hasLocal bool          // there are local indexes
	// Bytes of all local entries of the item before and after the write.
	localOld, localNew int
}

// plan works out what changing an item from old to updated does to its entries.
func (p *Partition) plan(s *Schema, old, updated item.Item) plan {
	p.scratch.entries = p.scratch.entries[:0]
	pl := plan{changes: p.scratch.changes[:0]}
	for i := range s.Indexes {
		x := &s.Indexes[i]
		if x.ID == 0 {
			continue
		}
		c := entryChange{index: x, old: p.entry(s, x, old), updated: p.entry(s, x, updated)}
		if c.change = c.kind(); c.change != capacity.IndexUntouched {
			pl.changes = append(pl.changes, c)
		}
		if x.Local {
			pl.hasLocal = true
			pl.localOld += c.old.Size()
			pl.localNew += c.updated.Size()
		}
	}
	p.scratch.changes = pl.changes
	return pl
}

// uses returns the changes, in memory of their own.
func (pl *plan) uses() []IndexUse {
	if len(pl.changes) == 0 {
		return nil
	}
	uses := make([]IndexUse, len(pl.changes))
	for i := range pl.changes {
		c := &pl.changes[i]
		uses[i] = IndexUse{Name: c.index.Name, Local: c.index.Local, Change: c.change, OldBytes: c.old.Size(), NewBytes: c.updated.Size()}
	}
	return uses
}

func (c *entryChange) kind() capacity.IndexChange {
	switch {
	case c.old == nil && c.updated == nil:
		return capacity.IndexUntouched
	case c.old == nil:
		return capacity.IndexAdded
	case c.updated == nil:
		return capacity.IndexRemoved
	case c.old.Equal(c.updated):
		return capacity.IndexUntouched
	}
	for _, k := range c.index.Keys {
		before, _ := c.old.Get(k.Name)
		after, _ := c.updated.Get(k.Name)
		if !before.Equal(after) {
			return capacity.IndexMoved
		}
	}
	return capacity.IndexUpdated
}

// stageEntries stages the changes of local indexes and counts them.
func (p *Partition) stageEntries(s *Schema, changes []entryChange, ts txn.Timestamp, c *counters) {
	for i := range changes {
		e := &changes[i]
		if !e.index.Local {
			continue
		}
		count := c.index(int(e.index.ID))
		if e.old != nil {
			count.Items--
			count.Bytes -= int64(e.old.Size())
			if e.change != capacity.IndexUpdated && !plant.On(plant.LocalEntryKept) {
				p.scratch.entryKey = s.AppendEntryKey(p.scratch.entryKey[:0], e.index, e.old)
				p.scratch.batch.Delete(p.scratch.entryKey)
			}
		}
		if e.updated != nil {
			count.Items++
			count.Bytes += int64(e.updated.Size())
			p.scratch.entryKey = s.AppendEntryKey(p.scratch.entryKey[:0], e.index, e.updated)
			p.scratch.row = s.appendRow(p.scratch.row[:0], ts, e.updated)
			p.scratch.batch.Set(p.scratch.entryKey, p.scratch.row)
		}
	}
}

// A collection record holds the size of an item collection of a table with
// local indexes; there is none for an empty collection. Integers are big-endian.
//
//	+-----------+----------+
//	| format 1B | bytes 8B |
//	+-----------+----------+
//
// format is 1; bytes sums items and local entries by DynamoDB's rules for sizes.
const (
	collectionFormat byte = 1
	collectionBytes       = 1 + 8
)

// grow works out the size of the item collection of a row after it has changed
// by delta bytes. Its key is in scratch.collection.
func (p *Partition) grow(s *Schema, it item.Item, delta int64) (int64, error) {
	p.scratch.collection = s.appendCollectionSizeKey(p.scratch.collection[:0], it)
	size, staged := p.scratch.collections[string(p.scratch.collection)]
	if !staged || plant.On(plant.CollectionSizeStale) {
		var err error
		if size, err = p.collectionSize(p.scratch.collection); err != nil {
			return 0, err
		}
	}
	return size + delta, nil
}

func (p *Partition) collectionSize(key []byte) (int64, error) {
	b, err := p.db.Get(key, p.scratch.value[:0])
	if errors.Is(err, lsm.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, p.unreadable(fmt.Errorf("partition %d: read size of item collection: %w", p.group, err))
	}
	p.scratch.value = b
	if len(b) != collectionBytes || b[0] != collectionFormat {
		return 0, p.unreadable(fmt.Errorf("partition %d: %w: size of item collection in %d bytes", p.group, ErrFormat, len(b)))
	}
	return int64(binary.BigEndian.Uint64(b[1:])), nil
}

// stageCollection stages the size of the item collection that grow looked up.
func (p *Partition) stageCollection(size int64) {
	s := &p.scratch
	if s.shared {
		s.collections[string(s.collection)] = size
	}
	if size <= 0 {
		s.batch.Delete(s.collection)
		return
	}
	s.value = binary.BigEndian.AppendUint64(append(s.value[:0], collectionFormat), uint64(size))
	s.batch.Set(s.collection, s.value)
}
