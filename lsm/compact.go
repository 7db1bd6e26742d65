package lsm

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/compaction"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
)

// compactTask keeps the levels in shape. There are Options.CompactionConcurrency of them.
func (db *DB) compactTask() error {
	retry := firstRetry
	for {
		did, err := db.compactOnce()
		db.mu.Lock()
		db.mergeErr = err
		db.mu.Unlock()
		switch {
		case err != nil:
			db.pauseMerges(retry)
			retry = min(2*retry, lastRetry)
		case did:
			retry = firstRetry
		default:
			db.awaitMerges()
		}
		if db.merges.Closed() {
			return nil
		}
	}
}

// pauseMerges waits after an error, whatever there is to do meanwhile: a merge that failed
// gives its claim back, and that alone would have it tried again at once.
func (db *DB) pauseMerges(d time.Duration) {
	for until := db.e.Now().Add(d); !db.merges.Closed(); {
		left := until.Sub(db.e.Now())
		if left <= 0 {
			return
		}
		db.merges.RecvFor(left)
	}
}

// awaitMerges waits until there may be something to do.
func (db *DB) awaitMerges() {
	shape := &db.current.Load().version.shape
	every := shape.Every
	if shape.Due > 0 {
		if due := max(time.Duration(shape.Due-db.now()), leastWait); every == 0 || due < every {
			every = due
		}
	}
	if every > 0 {
		db.merges.RecvFor(every)
		return
	}
	db.merges.Recv()
}

// leastWait is how soon it is looked again at what is due, but could not be done.
const leastWait = time.Second

// compactOnce carries out the compaction that is needed most, if any.
func (db *DB) compactOnce() (did bool, err error) {
	if err := db.failed(); err != nil {
		return false, err
	}
	c, err := db.claim(func(v *version, view *compaction.View) *compaction.Pick {
		p := db.o.Compaction.Next(view)
		// If nothing can be done about a level 0 that is too full, writers need not wait for it.
		db.stuckL0.Store(p == nil && len(view.Running) == 0)
		if p != nil {
			return p
		}
		if p = db.emptying(v, view.Free); p == nil || !view.Allows(p) {
			return nil
		}
		return p
	})
	if c == nil || err != nil {
		return false, err
	}
	wake(db.merges) // there may be more that can be done at the same time
	return true, db.compact(c)
}

// A claim is a pick that is being carried out. Until it is given back by compact, nobody
// takes its tables, and what happens meanwhile is not in conflict with it.
type claim struct {
	*compaction.Pick
	v     *version // that it was chosen from
	asked bool     // a caller waits for it

	// It may drop what has expired by expireNow and no snapshot sees: those that were open
	// when it began, or any that is opened until it is given back.
	expires   bool
	snapshots []key.SeqNum
	expireNow env.Time
}

// claim lets choose pick something from the current version, or returns nil if it does not.
//
// A pick is off the list of those running only after the version has what came of it. So
// the list is read first: whatever is not on it any more, the version knows.
func (db *DB) claim(choose func(*version, *compaction.View) *compaction.Pick) (*claim, error) {
	db.picking.Lock()
	defer db.picking.Unlock()
	view := db.view()
	v, err := db.holdVersion()
	if err != nil {
		return nil, err
	}
	view.Version, view.Usable = v.meta, v.isSound
	c := &claim{v: v}
	if db.o.Expiry != nil {
		c.expires = true
		c.snapshots, c.expireNow = db.beginExpiring()
		view.Expiry, view.Newest, view.Now = v.expiryOf, newestOf(c.snapshots), c.expireNow
	}
	if c.Pick = choose(v, view); c.Pick == nil {
		db.letGo(c)
		return nil, nil
	}
	db.mu.Lock()
	db.running = append(db.running, c.Pick)
	db.mu.Unlock()
	return c, nil
}

// newestOf returns the last of some snapshots, 0 if there is none.
func newestOf(snapshots []key.SeqNum) key.SeqNum {
	if len(snapshots) == 0 {
		return 0
	}
	return snapshots[len(snapshots)-1]
}

// letGo gives back what a claim holds but for its pick.
func (db *DB) letGo(c *claim) {
	if c.expires {
		db.endExpiring()
	}
	db.releaseVersion(c.v)
}

// view returns what a policy sees, without the version.
func (db *DB) view() *compaction.View {
	now, _ := db.e.Wall()
	db.mu.Lock()
	defer db.mu.Unlock()
	v := &compaction.View{Options: db.o.compaction(), Running: slices.Clone(db.running), Snapshot: key.MaxSeqNum, Now: now}
	if len(db.snapshots) > 0 {
		v.Snapshot = db.snapshots[0]
	}
	return v
}

// release gives a claim back.
func (db *DB) release(c *claim) {
	db.mu.Lock()
	db.running = slices.DeleteFunc(slices.Clone(db.running), func(p *compaction.Pick) bool { return p == c.Pick })
	ended := db.ended
	db.ended = env.NewFuture[struct{}](db.e)
	db.mu.Unlock()
	ended.Set(struct{}{}, nil)
	db.letGo(c)
	wake(db.merges)
}

// awaitIdle waits until nothing is being merged. Nothing new begins once the database is
// closed.
func (db *DB) awaitIdle() {
	for {
		db.mu.Lock()
		n, ended := len(db.running), db.ended
		db.mu.Unlock()
		if n == 0 {
			return
		}
		_, _ = ended.Await()
	}
}

// holdVersion returns the current version, or ErrClosed. The caller must release it.
func (db *DB) holdVersion() (*version, error) {
	s, err := db.acquireState()
	if err != nil {
		return nil, err
	}
	defer db.releaseState(s)
	s.version.refs.Add(1)
	return s.version, nil
}

// isSound is the compaction.Usable of a version's tables.
func (v *version) isSound(meta *manifest.Table) bool { return v.byNum[meta.Num].isSound() }

// open returns the open tables.
func (v *version) open(metas []*manifest.Table) []*table {
	tables := make([]*table, len(metas))
	for i, m := range metas {
		tables[i] = v.byNum[m.Num]
	}
	return tables
}

// recompresses reports whether the output has another compression than where the tables
// are: then moving them would leave them as they are for good.
func (db *DB) recompresses(p *compaction.Pick) bool {
	want := db.o.compression(p.Output)
	return slices.ContainsFunc(p.Inputs, func(in compaction.Input) bool { return db.o.compression(in.Level) != want })
}

// compact carries out a claim and gives it back. Flushes may add to level 0 meanwhile, and
// other compactions change what is not in conflict with it.
//
// If a table turns out to be damaged, it will not be picked again, and the error is
// only reported: the next pick goes around it.
func (db *DB) compact(c *claim) error {
	defer db.release(c)
	began := db.e.Now()
	if c.Way == compaction.Move && db.recompresses(c.Pick) {
		c.Way = compaction.Merge
	}
	edit := &manifest.Edit{}
	for _, in := range c.Inputs {
		for _, t := range in.Tables {
			edit.Deleted = append(edit.Deleted, manifest.Deleted{Level: in.Level, Num: t.Num})
		}
	}
	var written []*table
	switch c.Way {
	case compaction.Move:
		db.e.Sometimes("lsm-table-moved")
		for _, t := range c.Tables() {
			edit.Added = append(edit.Added, manifest.Added{Level: c.Output, Table: t})
		}
	case compaction.Merge:
		var err error
		written, err = db.merge(c)
		for db.blameValues(err, c.v) {
			written, err = db.merge(c)
		}
		if err != nil {
			return db.blame(err, c)
		}
		addTables(edit, c.Output, written)
	}
	if err := db.install(edit, written, nil); err != nil {
		if db.failed() == nil {
			db.discard(written)
		}
		return fmt.Errorf("lsm: compact: %w", err)
	}
	db.compacted(c, written, newValueBytes(edit), db.e.Now().Sub(began))
	return nil
}

// compacted tells of a claim that was carried out.
func (db *DB) compacted(c *claim, written []*table, valueBytes uint64, d time.Duration) {
	event := CompactionEvent{
		Pick: c.Pick, Tables: nums(written),
		BytesWritten: tableBytes(written), ValueBytes: valueBytes, Duration: d,
	}
	if c.Way == compaction.Merge {
		event.BytesRead = c.Bytes()
		db.pacer.drained(StallDebt, event.BytesRead, d)
		if c.Inputs[0].Level == 0 {
			db.pacer.drained(StallL0, tableBytes(c.v.open(c.Inputs[0].Tables)), d)
		}
	}
	db.metrics.compacted(&event)
	db.o.Events.compacted(event)
}

// blame finds the table that an error of a merge comes from. Without damage it is
// the disk's, and the merge is worth another try.
func (db *DB) blame(err error, c *claim) error {
	var damage *corrupt.Error
	if !errors.As(err, &damage) {
		return fmt.Errorf("lsm: compact: %w", err)
	}
	for _, t := range c.v.open(c.Tables()) {
		if t.name == damage.File {
			db.damaged(&t.heldFile, err)
			return nil
		}
	}
	return fmt.Errorf("lsm: compact: %w", err)
}
