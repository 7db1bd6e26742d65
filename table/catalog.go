package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// The catalog's keys. Integers are big-endian.
//
//	state  | 0x02 | 0 |               format 1B, applied 8B, next table 4B, next group 8B
//	table  | 0x02 | 1 | table id 4B | table record (record.go)
const (
	catalogState byte = 0
	catalogTable byte = 1

	stateFormat byte = 1
	stateBytes       = 1 + 8 + 4 + 8

	// catalogGroup is the replicated group of the catalog; partitions get the
	// ids after it.
	catalogGroup uint64 = 1
)

// A catalog is the state machine that keeps table records and hands out table
// and group ids.
//
// It knows three commands: create a record, replace a record by its next
// version, drop a table. A replacement names the version it was made from and
// is refused if that is no longer the current one, so the decision may be made
// outside, from a snapshot of the catalog.
//
// snapshot may be called from any task; the rest is for one task at a time.
type catalog struct {
	db   *lsm.DB
	view atomic.Pointer[catalogView]

	applied   uint64
	nextTable uint32
	nextGroup uint64
	broken    error // the store refused a batch
}

// A catalogView is the catalog at one point of its log. It is immutable.
type catalogView struct {
	keys  []string // sorted; see spaceID.key
	byKey map[string]*record
}

// A catalogResult answers one catalog command.
type catalogResult struct {
	record *record // as it is now; nil after a drop
	err    error
}

var (
	errTableExists = errors.New("table: name is taken")
	errStale       = errors.New("table: catalog record has changed")
)

func openCatalog(db *lsm.DB) (*catalog, error) {
	c := &catalog{db: db, nextTable: 1, nextGroup: catalogGroup + 1}
	if err := c.loadState(); err != nil {
		return nil, err
	}
	if err := c.loadTables(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *catalog) snapshot() *catalogView { return c.view.Load() }

// Applied implements replication.StateMachine.
func (c *catalog) Applied() uint64 { return c.applied }

func stateKey() []byte { return []byte{partition.SpaceCatalog, catalogState} }

func tableKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{partition.SpaceCatalog, catalogTable}, id)
}

func (c *catalog) loadState() error {
	b, err := c.db.Get(stateKey(), nil)
	if errors.Is(err, lsm.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("catalog: read state: %w", err)
	}
	if len(b) != stateBytes || b[0] != stateFormat {
		return fmt.Errorf("catalog: %w: state of %d bytes", errRecord, len(b))
	}
	c.applied = binary.BigEndian.Uint64(b[1:])
	c.nextTable = binary.BigEndian.Uint32(b[9:])
	c.nextGroup = binary.BigEndian.Uint64(b[13:])
	return nil
}

func (c *catalog) appendState(applied uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{stateFormat}, applied)
	b = binary.BigEndian.AppendUint32(b, c.nextTable)
	return binary.BigEndian.AppendUint64(b, c.nextGroup)
}

func (c *catalog) loadTables() error {
	it, err := c.db.NewIter(lsm.IterOptions{
		Lower: []byte{partition.SpaceCatalog, catalogTable},
		Upper: []byte{partition.SpaceCatalog, catalogTable + 1},
	})
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	defer it.Close()
	v := &catalogView{byKey: make(map[string]*record)}
	for ok := it.First(); ok; ok = it.Next() {
		name := it.Key()
		var r *record
		err := vfs.Guard(func() (err error) {
			value := it.Value()
			if err := it.Err(); err != nil {
				return err
			}
			r, err = decodeRecord(value)
			return err
		})
		if err != nil {
			return fmt.Errorf("catalog: table %x: %w", name, err)
		}
		v.byKey[r.key()] = r
		v.keys = append(v.keys, r.key())
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("catalog: read tables: %w", err)
	}
	slices.Sort(v.keys)
	c.view.Store(v)
	return nil
}

// with returns the view with r in place of the record of the same key.
func (v *catalogView) with(r *record) *catalogView {
	next, key := v.clone(), r.key()
	if at, found := slices.BinarySearch(next.keys, key); !found {
		next.keys = slices.Insert(next.keys, at, key)
	}
	next.byKey[key] = r
	return next
}

func (v *catalogView) without(key string) *catalogView {
	next := v.clone()
	if at, found := slices.BinarySearch(next.keys, key); found {
		next.keys = slices.Delete(next.keys, at, at+1)
	}
	delete(next.byKey, key)
	return next
}

func (v *catalogView) clone() *catalogView {
	next := &catalogView{keys: slices.Clone(v.keys), byKey: make(map[string]*record, len(v.byKey)+1)}
	for key, r := range v.byKey {
		next.byKey[key] = r
	}
	return next
}

// records returns all records in the order of their tables' creation.
func (v *catalogView) records() []*record {
	list := make([]*record, 0, len(v.keys))
	for _, key := range v.keys {
		list = append(list, v.byKey[key])
	}
	slices.SortFunc(list, func(a, b *record) int { return int(int64(a.id) - int64(b.id)) })
	return list
}

// after returns up to limit names of a space's tables that are greater than
// start, and whether more follow.
func (v *catalogView) after(id spaceID, start string, limit int) (names []string, more bool) {
	at, found := slices.BinarySearch(v.keys, id.key(start))
	if found {
		at++
	}
	for _, key := range v.keys[at:] {
		name, ok := strings.CutPrefix(key, id.key(""))
		if !ok {
			break
		}
		if len(names) == limit {
			return names, true
		}
		names = append(names, name)
	}
	return names, false
}
