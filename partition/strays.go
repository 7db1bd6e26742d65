package partition

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// CheckStrays looks for what nobody will ever delete: state of groups of which a store is to have nothing, as has says, and
// keys that are of no group. Whoever has dropped a partition without some of its keys notices nothing of it, until the disk is full, or
// until a part of the same table comes to the node and takes them for its own.
//
// It is for simulations.
func CheckStrays(db *lsm.DB, has func(group uint64) bool) error {
	groups, err := Groups(db)
	if err != nil {
		return err
	}
	var spans []lsm.KeySpan
	for _, group := range groups {
		if !has(group) {
			return fmt.Errorf("partition: there is state of group %d, which has no replica here", group)
		}
		p := &Partition{db: db, group: group}
		if err := p.loadConfig(); err != nil {
			return err
		}
		spans = append(spans, groupSpans(group, p.Config())...)
	}
	spans = unite(append(spans, lsm.KeySpan{Lower: []byte{SpaceCatalog}, Upper: []byte{SpaceCatalog + 1}}), nil)
	it, err := db.NewIter(lsm.IterOptions{Lower: []byte{spaceGroup}, Upper: []byte{spaceRow + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	return vfs.Guard(func() error {
		for ok := it.First(); ok; {
			key := it.Key()
			at := slices.IndexFunc(spans, func(s lsm.KeySpan) bool { return bytes.Compare(key, s.Upper) < 0 })
			if at < 0 || bytes.Compare(key, spans[at].Lower) < 0 {
				return fmt.Errorf("partition: key %x is of no group that has a replica here", key)
			}
			ok = it.SeekGE(spans[at].Upper)
		}
		return it.Err()
	})
}
