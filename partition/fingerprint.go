package partition

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// A Fingerprint sums up all that a group has in a store as of an entry of its log: its
// state, change records and rows. Replicas that have applied the same entries have the
// same one.
type Fingerprint struct {
	Applied uint64
	Pairs   uint64 // keys with their values
	Sum     uint32 // crc32c of them, in the order of keys
}

// FingerprintOf reads the whole group. It may be called by any task; what is applied
// meanwhile does not matter.
//
// What a replica keeps for itself alone does not count, nor do the members: a replica that
// has been sent a snapshot knows of them, one that was born with the group need not.
func FingerprintOf(db *lsm.DB, group uint64) (f Fingerprint, err error) {
	view := db.NewSnapshot()
	defer view.Close()
	read := func(part byte) ([]byte, error) {
		b, err := view.Get(appendGroupKey(nil, group, part), nil)
		if errors.Is(err, lsm.ErrNotFound) {
			return nil, nil
		}
		return b, err
	}
	err = vfs.Guard(func() error {
		progress, err := read(partProgress)
		if err != nil || progress == nil {
			return err
		}
		var ok bool
		if f.Applied, _, ok = decodeProgress(progress); !ok {
			return fmt.Errorf("%w: progress of %d bytes", ErrFormat, len(progress))
		}
		stored, err := read(partConfig)
		var config *Config
		if err == nil && stored != nil {
			config, err = decodeConfig(stored)
		}
		if err != nil {
			return err
		}
		spans := groupSpans(group, nil)
		if config != nil {
			rows, err := rowSpansIn(view, config)
			if err != nil {
				return err
			}
			spans = append(spans, rows...)
		}
		for _, s := range spans {
			if err := f.add(view, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return f, fmt.Errorf("partition %d: fingerprint: %w", group, err)
	}
	return f, nil
}

// rowSpansIn returns where a store has rows with the hashes of a partition, of whatever kind. It does not ask for rowSpans: what
// these leave out, snapshots do, too.
func rowSpansIn(view *lsm.Snapshot, c *Config) (spans []lsm.KeySpan, err error) {
	first, end := appendPlace(nil, c.Schema.Table, 0), appendPlace(nil, c.Schema.Table+1, 0)
	it, err := view.NewIter(lsm.IterOptions{Lower: first, Upper: end})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; {
		place := it.Key()[len(first)-1]
		lower, upper := hashSpan(appendPlace(nil, c.Schema.Table, place), c.First, c.Last)
		spans = append(spans, lsm.KeySpan{Lower: lower, Upper: upper})
		if place == 255 {
			break
		}
		ok = it.SeekGE(appendPlace(nil, c.Schema.Table, place+1))
	}
	err = it.Err()
	if e := it.Close(); err == nil {
		err = e
	}
	return spans, err
}

// AppliedIn returns the entry of a group's log that its state in a store is as of, which is
// Applied of its fingerprint; 0: the store has nothing of the group.
func AppliedIn(db *lsm.DB, group uint64) (applied uint64, err error) {
	progress, err := db.Get(appendGroupKey(nil, group, partProgress), nil)
	switch {
	case errors.Is(err, lsm.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("partition %d: progress: %w", group, err)
	}
	applied, _, ok := decodeProgress(progress)
	if !ok {
		return 0, fmt.Errorf("partition %d: %w: progress of %d bytes", group, ErrFormat, len(progress))
	}
	return applied, nil
}

// add reads a span.
func (f *Fingerprint) add(view *lsm.Snapshot, s lsm.KeySpan) error {
	it, err := view.NewIter(lsm.IterOptions{Lower: s.Lower, Upper: s.Upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := it.Key(), it.Value()
		if it.Err() != nil {
			break
		}
		if key[0] == spaceGroup && (key[1+8] == partMembers || key[1+8] == partRestored) {
			continue
		}
		f.Pairs++
		for _, b := range [][]byte{key, value} {
			n := len(b)
			f.Sum = crc32.Update(f.Sum, castagnoli, []byte{byte(n), byte(n >> 8), byte(n >> 16)})
			f.Sum = crc32.Update(f.Sum, castagnoli, b)
		}
	}
	err = it.Err()
	if e := it.Close(); err == nil {
		err = e
	}
	return err
}
