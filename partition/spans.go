package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// rowSpans returns where the rows of a partition with this configuration lie, sorted:
// items or entries, entries of local indexes, sizes of item collections and, if asked for,
// what transactions keep there.
func (c *Config) rowSpans(transactions bool) []lsm.KeySpan {
	places := []byte{c.Schema.facetsFlag() | baseIndex}
	if !c.Entries {
		for i := range c.Schema.Indexes {
			if x := &c.Schema.Indexes[i]; x.Local && x.ID != 0 {
				places = append(places, c.Schema.facetsFlag()|byte(x.ID))
			}
		}
		places = append(places, collectionsIndex)
		if transactions {
			places = append(places, preparedIndex, decisionsIndex)
			for slot := range tokenSlots {
				places = append(places, tokensIndex+byte(slot))
			}
		}
	}
	slices.Sort(places)
	spans := make([]lsm.KeySpan, len(places))
	for i, place := range places {
		lower, upper := hashSpan(appendPlace(nil, c.Schema.Table, place), c.First, c.Last)
		spans[i] = lsm.KeySpan{Lower: lower, Upper: upper}
	}
	return spans
}

// groupSpans returns all spans of a group with this configuration, sorted; nil = it has none
// yet.
func groupSpans(group uint64, c *Config) []lsm.KeySpan { return groupSpansWith(group, c, true) }

// groupSpansWith is groupSpans for a group that has, or has not, what transactions keep.
func groupSpansWith(group uint64, c *Config, transactions bool) []lsm.KeySpan {
	lower, upper := GroupSpan(group)
	changes, end := ChangeSpan(group)
	spans := []lsm.KeySpan{{Lower: lower, Upper: upper}, {Lower: changes, Upper: end}}
	if c != nil {
		spans = append(spans, c.rowSpans(transactions)...)
	}
	return spans
}

// unite returns the keys that are in a or b, as spans that are sorted and apart.
func unite(a, b []lsm.KeySpan) []lsm.KeySpan {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b lsm.KeySpan) int { return bytes.Compare(a.Lower, b.Lower) })
	united := all[:0]
	for _, s := range all {
		if n := len(united); n > 0 && bytes.Compare(s.Lower, united[n-1].Upper) <= 0 {
			if bytes.Compare(united[n-1].Upper, s.Upper) < 0 {
				united[n-1].Upper = s.Upper
			}
			continue
		}
		united = append(united, s)
	}
	return united
}

func equalSpans(a, b []lsm.KeySpan) bool {
	return slices.EqualFunc(a, b, func(a, b lsm.KeySpan) bool {
		return bytes.Equal(a.Lower, b.Lower) && bytes.Equal(a.Upper, b.Upper)
	})
}

// meet reports whether a key can be in both.
func meet(a, b []lsm.KeySpan) bool {
	return slices.ContainsFunc(a, func(x lsm.KeySpan) bool {
		return slices.ContainsFunc(b, func(y lsm.KeySpan) bool {
			return bytes.Compare(x.Lower, y.Upper) < 0 && bytes.Compare(y.Lower, x.Upper) < 0
		})
	})
}

// Groups returns the groups of which a store has any state, sorted, but not the
// catalog's.
func Groups(db *lsm.DB) (groups []uint64, err error) {
	err = eachGroup(db, func(group uint64, _ *lsm.Iterator) error {
		groups = append(groups, group)
		return nil
	})
	return groups, err
}

// eachGroup calls f for each group that has state in a store, in order. f may move the
// iterator.
func eachGroup(db *lsm.DB, f func(group uint64, it *lsm.Iterator) error) error {
	it, err := db.NewIter(lsm.IterOptions{Lower: []byte{spaceGroup}, Upper: []byte{spaceGroup + 1}})
	if err == nil {
		err = vfs.Guard(func() error {
			for ok := it.First(); ok; {
				key := it.Key()
				if len(key) < 1+8 {
					return fmt.Errorf("%w: key of a group of %d bytes", ErrFormat, len(key))
				}
				group := binary.BigEndian.Uint64(key[1:])
				if err := f(group, it); err != nil {
					return err
				}
				if group == ^uint64(0) {
					break
				}
				ok = it.SeekGE(appendGroupKey(nil, group+1, 0))
			}
			return it.Err()
		})
		if e := it.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("partition: look for groups: %w", err)
	}
	return nil
}

// ErrOverlap refuses to install a snapshot over rows that another partition of this
// store still has: one that has not come to the split, or the move, that takes them
// away. It will; so the snapshot may be sent again.
var ErrOverlap = errors.New("partition: another partition has the rows")

// checkOverlap makes sure that no other group of a store has rows in some spans.
func checkOverlap(db *lsm.DB, group uint64, spans []lsm.KeySpan) error {
	return eachGroup(db, func(other uint64, it *lsm.Iterator) error {
		if other == group {
			return nil
		}
		key := appendGroupKey(nil, other, partConfig)
		if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
			return it.Err()
		}
		value := it.Value()
		if err := it.Err(); err != nil {
			return err
		}
		c, err := decodeConfig(value)
		if err != nil {
			return fmt.Errorf("partition %d: %w", other, err)
		}
		if meet(spans, c.rowSpans(true)) {
			return fmt.Errorf("%w: group %d", ErrOverlap, other)
		}
		return nil
	})
}

// CheckFree returns ErrOverlap if another group than the given one has rows of a table, or of
// a global index, with the hashes [first, last].
func CheckFree(db *lsm.DB, group uint64, table uint32, first, last uint64) error {
	var spans []lsm.KeySpan
	for _, s := range RowSpans(table, first, last) {
		spans = append(spans, lsm.KeySpan{Lower: s[0], Upper: s[1]})
	}
	return checkOverlap(db, group, spans)
}

// Drop deletes all that a store has of a group: rows, change records and state, in one
// step. Nobody may use the partition any more. It is repeated after a crash, which
// may have it come back, if Groups still names the group.
func Drop(db *lsm.DB, group uint64) error {
	p := &Partition{db: db, group: group}
	if err := p.loadConfig(); err != nil {
		return err
	}
	if err := p.loadProgress(); err != nil {
		return err
	}
	config := p.Config()
	if plant.On(plant.DropTakesNeighbours) && config != nil {
		config.First, config.Last = 0, math.MaxUint64
	}
	spans := groupSpans(group, config)
	if p.State().Size() >= dropAtOnceBytes {
		r, err := db.Replace(spans...)
		if err == nil {
			err = r.Commit(nil)
		}
		if err != nil {
			return fmt.Errorf("partition %d: drop: %w", group, err)
		}
		return nil
	}
	b := db.NewBatch()
	for _, s := range spans {
		b.DeleteRange(s.Lower, s.Upper)
	}
	if err := db.Apply(b); err != nil {
		return fmt.Errorf("partition %d: drop: %w", group, err)
	}
	return nil
}

// dropAtOnceBytes is the size from which on a dropped partition gives its space back
// at once, which takes a flush.
const dropAtOnceBytes = 16 << 20
