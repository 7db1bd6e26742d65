package lsm

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

// Excise makes all keys in [lower, upper) absent, as Batch.DeleteRange does, and gives back
// at once the space of the tables and value files that hold nothing else, without reading
// them. What shares a table with other keys goes when compaction comes to it.
//
// Snapshots and iterators from before see what they saw; what they need stays. Memtables
// are flushed, and merges under way in the range are waited for. A crash in between
// leaves all or nothing of the range.
//
// Damaged tables that lie in the range go, too.
func (db *DB) Excise(lower, upper []byte) error {
	if bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	if err := db.excise(lower, upper); err != nil {
		return fmt.Errorf("lsm: excise: %w", err)
	}
	return nil
}

func (db *DB) excise(lower, upper []byte) error {
	b := db.NewBatch()
	b.DeleteRange(lower, upper)
	if err := db.Admit(); err != nil {
		return err
	}
	if err := db.Apply(b); err != nil {
		return err
	}
	// The range delete must be durable before what it hides goes: of a table that stays,
	// because it lies in the range only partly, nothing may come back to life alone.
	if !plant.On(plant.ExcisedBeforeFlush) {
		if err := db.Flush(); err != nil {
			return err
		}
	}
	return db.dropWithin(manifest.Span{Start: lower, End: upper, EndOpen: true}, b.firstSeq())
}

// dropWithin drops all tables within a span that have nothing but what a range delete
// with that sequence number hides from everybody. It waits for merges that have such
// a table, and looks at what came of them.
func (db *DB) dropWithin(s manifest.Span, hidden key.SeqNum) error {
	return db.carryOut(func(v *compaction.View) (p *compaction.Pick, isBusy bool) {
		return droppable(v, []manifest.Span{s}, hidden, db.openSnapshots())
	})
}

// droppable returns the pick that drops what can be dropped within spans, or nil. isBusy
// reports that more could be dropped if it were not being merged.
//
// Such a table may go whatever else there is: the range delete hides all that the table
// hides, and stays until nothing older is left below it. So the pick is in conflict only
// with those that have the same tables.
func droppable(v *compaction.View, spans []manifest.Span, hidden key.SeqNum, snapshots []key.SeqNum) (p *compaction.Pick, isBusy bool) {
	p = &compaction.Pick{Way: compaction.Drop, Reason: "excised"}
	for level := range manifest.Levels {
		in := compaction.Input{Level: level}
		for _, s := range spans {
			for _, t := range v.Overlapping(level, s) {
				switch {
				case !liesWithin(t, s) || t.LargestSeq >= hidden || isNeeded(t, hidden, snapshots):
				case isTaken(v, t):
					isBusy = true
				default:
					in.Tables = append(in.Tables, t)
				}
			}
		}
		if len(in.Tables) > 0 {
			p.Inputs = append(p.Inputs, in)
		}
	}
	if len(p.Inputs) == 0 {
		return nil, isBusy
	}
	return p, isBusy
}

func liesWithin(t *manifest.Table, s manifest.Span) bool {
	c := bytes.Compare(t.Largest.User, s.End)
	return bytes.Compare(s.Start, t.Smallest.User) <= 0 && (c < 0 || c == 0 && t.Span().EndOpen)
}

// isNeeded reports whether a snapshot sees something of a table that is not hidden from
// it.
func isNeeded(t *manifest.Table, hidden key.SeqNum, snapshots []key.SeqNum) bool {
	return slices.ContainsFunc(snapshots, func(s key.SeqNum) bool { return t.SmallestSeq <= s && s < hidden })
}

// isTaken reports whether a table is being merged.
func isTaken(v *compaction.View, t *manifest.Table) bool {
	return slices.ContainsFunc(v.Running, func(p *compaction.Pick) bool { return slices.Contains(p.Tables(), t) })
}
