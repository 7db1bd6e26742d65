package table

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/partition"
)

// An upkeep brings the changes of one partition of a base table to the partitions
// of its global indexes. It is one task, and goes in rounds:
//
//  1. read change records after the cursor, up to maxRoundBytes;
//  2. work out which entries they delete and put, and sort those by the index
//     partition that they belong to;
//  3. propose one batch to each of these partitions, and wait for all;
//  4. move the cursor behind the records, and once in a while propose to the base
//     partition to trim them.
//
// The task runs where the base partition is led: it begins when this replica becomes
// the leader, and ends when it is that no more. The cursor need not be kept: a task
// begins after what was trimmed, and the index partitions know what they have
// (partition.EntryBatch), also if two replicas think for a moment that they lead. A
// round that fails in part is repeated as a whole.
//
// Changes of one item are in one partition's records, in order, so they reach each
// index in order. Entries of different index partitions are not changed at the
// same moment: a reader may see an item that moves in both places or in neither,
// as in DynamoDB.
type upkeep struct {
	core *core
	base *livePartition
	wake *env.Queue[struct{}]       // a record was written
	rush *env.Queue[struct{}]       // a writer waits
	task atomic.Pointer[upkeepTask] // nil while another replica leads
	last *upkeepTask                // begun last; guarded by core.local

	table   atomic.Pointer[liveTable] // what the indexes are now
	cursor  atomic.Uint64             // sequence number up to which all indexes have the changes
	handled atomic.Int64              // as partition.ChangeBytes, of the records handled
	failing atomic.Bool               // the last round failed

	// Owned by the task.
	start     uint64 // sequence number of the latest record at the start
	untrimmed int    // records handled since the last trim
	keep      bool   // an index cannot take some of its changes behind the cursor; so they must not go
	mayBegin  bool   // the changes from before the partition was split off are in the indexes

	mu      env.Leaf // guards waiting
	waiting []*env.Future[struct{}]
}

// An upkeepTask is one run of the task.
type upkeepTask struct {
	before *upkeepTask           // may still be ending; nil = none
	stop   *env.Future[struct{}] // set to end it
	done   *env.Future[struct{}] // it has ended
}

const (
	// A round reads this much at most, so that a batch is a fraction of what a
	// group takes at once.
	maxRoundChanges = 2048
	maxRoundBytes   = 1 << 20

	// Records are trimmed when there are so many, or when nothing was written for
	// trimPause: each trim is an entry of the log, and a range tombstone.
	trimChanges = 4096
	trimPause   = time.Second

	// Writes wait while indexes are so far behind. The records lie in the store,
	// not in memory, so it is a bound of staleness and of disk, not of memory.
	maxLagBytes   = 64 << 20
	maxLagChanges = 256 << 10

	minRetry, maxRetry = time.Millisecond, time.Second
)

// newUpkeep returns the upkeep of a partition of a table, which does nothing yet.
func (c *core) newUpkeep(p *livePartition, t *liveTable) *upkeep {
	u := &upkeep{
		core: c, base: p,
		wake: env.NewQueue[struct{}](c.env, 1),
		rush: env.NewQueue[struct{}](c.env, 1),
	}
	u.mu.Bind(c.env)
	u.table.Store(t)
	return u
}

// begin starts the task, unless it runs. The caller sees to it that nobody else
// begins or ends it.
func (u *upkeep) begin() {
	if u.task.Load() != nil {
		return
	}
	t := &upkeepTask{before: u.last, stop: env.NewFuture[struct{}](u.core.env), done: env.NewFuture[struct{}](u.core.env)}
	u.last = t
	isFirst := t.before == nil || t.before.done.Ready()
	if isFirst {
		u.prepare()
	}
	u.task.Store(t)
	u.core.env.Go(fmt.Sprintf("index upkeep %d", u.base.id), func() {
		if !isFirst {
			_, _ = t.before.done.Await()
			u.prepare()
		}
		t.before = nil
		u.run(t)
	})
}

// prepare sets out from what was trimmed. No task runs.
func (u *upkeep) prepare() {
	u.mayBegin = false
	u.setOut()
	u.failing.Store(false)
	u.base.Watch(func() { u.wake.TrySend(struct{}{}) })
}

// setOut has the rounds begin with the oldest record that there is.
func (u *upkeep) setOut() {
	u.start, u.untrimmed, u.keep = u.base.Sequence(), 0, false
	// What a replay, or another leader, has written counts as handled: it may have
	// been, and the rest is bounded by what the log keeps.
	u.handled.Store(u.base.ChangeBytes())
	u.cursor.Store(u.base.Trimmed())
	if plant.On(plant.IndexUpdateLostOnCrash) {
		u.cursor.Store(u.start)
	}
}

// end stops the task, if it runs. It may still be in its last round.
func (u *upkeep) end() {
	if t := u.task.Swap(nil); t != nil {
		t.stop.Set(struct{}{}, nil)
		u.wake.TrySend(struct{}{})
	}
}

// stopped returns when no task runs after end.
func (u *upkeep) stopped() {
	if u.last != nil {
		_, _ = u.last.done.Await()
	}
}

func (u *upkeep) run(t *upkeepTask) {
	retry := minRetry
	for !t.stop.Ready() {
		due, err := u.round()
		u.failing.Store(err != nil)
		u.admitAll()
		switch {
		case err != nil:
			u.core.env.Sometimes("table: index upkeep failed")
			if errors.Is(err, partition.ErrWrongPartition) { // an index was split
				_ = u.core.refresh()
			}
			u.rest(t, retry)
			retry = min(2*retry, maxRetry)
			continue
		case due > 0:
			u.rest(t, due)
		case u.cursor.Load() >= u.base.Sequence():
			u.idle(t)
		}
		retry = minRetry
	}
	u.base.Watch(nil)
	u.admitAll()
	t.done.Set(struct{}{}, nil)
}

// rest waits for a time, or until a writer waits or the task is to end.
func (u *upkeep) rest(t *upkeepTask, d time.Duration) {
	env.WaitAnyFor(u.core.env, d, t.stop, u.rush)
	u.rush.TryRecv()
}

// idle waits for the next record.
func (u *upkeep) idle(t *upkeepTask) {
	if u.untrimmed == 0 {
		u.wake.Recv()
		return
	}
	if _, ok := u.wake.RecvFor(trimPause); !ok && !t.stop.Ready() {
		u.trim()
	}
}

// A shipment is the batch for one index partition.
type shipment struct {
	to    *livePartition
	batch *partition.EntryBatch
}

// A roundState collects what the records of a round mean.
type roundState struct {
	table     *liveTable
	source    uint64
	shipments []shipment
	at        map[uint64]int // position in shipments by group
	through   uint64
	changes   int
	bytes     int
	fresh     int64 // bytes of records written since the start
	keep      bool
	// configured is the version of the record that the partition has its schema
	// from. The table that this node shows may be older, and not have an index that
	// there are changes for; such a round is late.
	configured uint64
	late       bool
	key, old   []byte // scratch
}

// round handles the next records. It returns how long to wait until the next
// change is due, 0 = not at all.
func (u *upkeep) round() (due time.Duration, err error) {
	if err := u.awaitParent(); err != nil {
		return 0, err
	}
	if u.keep && !u.table.Load().hasFailed() { // the index is gone, or can take what was kept for it
		u.setOut()
	}
	r := roundState{table: u.table.Load(), source: u.base.id, at: map[uint64]int{}, through: u.cursor.Load()}
	if config := u.base.Config(); config != nil {
		r.configured = config.Version
	}
	most := maxRoundChanges
	if u.core.env.Buggify("table: small index round") {
		most = 1
	}
	err = u.base.Changes(r.through, func(c *partition.Change) bool {
		if due = u.due(c); due > 0 {
			return false
		}
		r.take(c)
		if c.Sequence > u.start {
			r.fresh += int64(c.Bytes)
		}
		return r.changes < most && r.bytes < maxRoundBytes
	})
	if err != nil {
		return 0, err
	}
	if r.changes == 0 {
		if trimmed := u.base.Trimmed(); trimmed > r.through && due == 0 {
			u.cursor.Store(trimmed) // another leader has brought them, and trimmed
		}
		return due, nil
	}
	if r.late {
		u.core.env.Sometimes("table: index upkeep waits for the catalog")
		u.core.poke()
		return 0, errLate
	}
	if err := r.ship(); err != nil {
		return 0, err
	}
	u.keep = u.keep || r.keep
	u.cursor.Store(r.through)
	u.handled.Add(r.fresh)
	if u.untrimmed += r.changes; u.untrimmed >= trimChanges || u.core.env.Buggify("table: early trim") {
		u.trim()
	}
	return due, nil
}

// due returns how long a change is still to be held back. When that keeps writes
// waiting, it is not.
func (u *upkeep) due(c *partition.Change) time.Duration {
	if u.core.indexDelay == 0 || c.Backfill || u.behind() {
		return 0
	}
	now, _ := u.core.env.Wall()
	left := time.Duration(c.Timestamp.Physical()-now) + u.core.indexDelay
	return min(max(left, 0), u.core.indexDelay)
}

// awaitParent returns an error as long as changes from before the partition was split off may
// be on their way to the indexes: those after it must not overtake them.
func (u *upkeep) awaitParent() error {
	b := u.base.Birth()
	if u.mayBegin || b == nil || b.Through == 0 || plant.On(plant.ChildOvertakesParent) {
		return nil
	}
	parent := u.core.directory.partition(b.After)
	if parent == nil || !parent.hasBrought(b.Through) {
		u.core.env.Sometimes("table: index upkeep waits for the parent's")
		return errYoung
	}
	u.mayBegin = true
	return nil
}

var errYoung = errors.New("table: changes from before a split are not in the indexes yet")

var errLate = errors.New("table: catalog is behind the partitions")

// hasFailed reports whether there is a global index that cannot take changes.
func (t *liveTable) hasFailed() bool {
	for _, k := range t.globals { //sim:ok any one
		if k.failed != nil {
			return true
		}
	}
	return false
}

// take adds what one change means for the indexes that it concerns.
func (r *roundState) take(c *partition.Change) {
	r.changes++
	r.bytes += c.Bytes
	r.through = c.Sequence
	for _, id := range c.Indexes {
		k := r.table.globals[id]
		switch {
		case k == nil && r.table.version < r.configured: // not heard of yet
			r.late = true
		case k == nil: // deleted meanwhile
		case k.failed != nil:
			r.keep = true
		default:
			r.takeFor(k, c)
		}
	}
}

// takeFor deletes the old entry, unless it stays where it is, and puts the new
// one.
func (r *roundState) takeFor(k *keySet, c *partition.Change) {
	schema := r.table.schema
	r.key = r.key[:0]
	if c.New != nil && k.index.Has(c.New) {
		r.key = schema.AppendEntryKey(r.key, k.index, c.New)
	}
	if c.Old != nil && k.index.Has(c.Old) {
		r.old = schema.AppendEntryKey(r.old[:0], k.index, c.Old)
		if string(r.old) != string(r.key) {
			r.batchFor(k, r.old).Delete(c.Sequence, r.old)
		}
	}
	if len(r.key) > 0 {
		batch := r.batchFor(k, r.key)
		before := batch.Bytes()
		batch.Put(c.Sequence, r.key, c.Timestamp, schema.Entry(k.index, c.New))
		r.bytes += batch.Bytes() - before
	}
}

func (r *roundState) batchFor(k *keySet, key []byte) *partition.EntryBatch {
	to := k.partitions.of(partition.RowHash(key))
	at, ok := r.at[to.id]
	if !ok {
		at = len(r.shipments)
		r.at[to.id] = at
		r.shipments = append(r.shipments, shipment{to, partition.NewEntryBatch(r.source)})
	}
	return r.shipments[at].batch
}

// ship proposes all batches and waits for them.
func (r *roundState) ship() error {
	sent := make([]proposal, len(r.shipments))
	for i, s := range r.shipments {
		sent[i] = s.to.propose(s.batch.Encode(r.through))
	}
	var failure error
	for i := range sent {
		result, err := sent[i].outcome()
		if err == nil {
			err = result.Err
		}
		if err != nil && !plant.On(plant.IndexBatchErrorIgnored) {
			failure = err
		}
	}
	return failure
}

// trim proposes that the records up to the cursor go. Whether that works is no
// matter: the next trim takes more.
func (u *upkeep) trim() {
	u.untrimmed = 0
	if u.keep {
		return
	}
	c := partition.Command{Kind: partition.Trim, Through: u.cursor.Load()}
	if plant.On(plant.ChangesTrimmedEarly) {
		c.Through = u.base.Sequence()
	}
	u.base.propose(c.Encode())
}

// behind reports whether writes are to wait for the indexes. While a round cannot
// be done, they need not: it may take long, and the log of changes is patient.
func (u *upkeep) behind() bool {
	return (u.lag() > u.core.maxLag || u.base.Sequence()-u.cursor.Load() > maxLagChanges) && !u.failing.Load() && u.task.Load() != nil
}

// lag returns how many bytes of change records, written since the start, wait.
func (u *upkeep) lag() int64 { return u.base.ChangeBytes() - u.handled.Load() }

// progress returns the change up to which the indexes are known to be, 0 while
// another replica leads.
func (u *upkeep) progress() uint64 {
	if u.task.Load() == nil {
		return 0
	}
	return u.cursor.Load()
}

// admit parks a writer while the indexes are too far behind.
func (u *upkeep) admit() {
	for u.behind() {
		f := env.NewFuture[struct{}](u.core.env)
		u.mu.Lock()
		u.waiting = append(u.waiting, f)
		u.mu.Unlock()
		if !u.behind() { // the last round may not have seen f
			return
		}
		u.core.env.Sometimes("table: write waits for indexes")
		u.rush.TrySend(struct{}{})
		_, _ = f.Await()
	}
}

// admitAll lets the writers that wait look again.
func (u *upkeep) admitAll() {
	u.mu.Lock()
	waiting := u.waiting
	u.waiting = nil
	u.mu.Unlock()
	for _, f := range waiting {
		f.Set(struct{}{}, nil)
	}
}

// attach informs the upkeeps of a table that is not published yet, and makes and
// begins those that it needs.
func (c *core) attach(t *liveTable) {
	for i, p := range t.partitions {
		switch {
		case p.upkeep != nil:
			p.upkeep.table.Store(t)
		case t.failed == nil && len(t.places) > 0 && p.group != nil:
			with := *p
			with.upkeep = c.newUpkeep(&with, t)
			t.partitions[i] = &with
			c.directory.put(&with)
			p = &with
		}
		if p.upkeep != nil && p.group.Leading() {
			p.upkeep.begin()
		}
	}
}

// detached returns when the upkeeps of a table that was detached are at rest.
func (t *liveTable) detached() {
	for _, p := range t.partitions {
		if p.upkeep != nil {
			p.upkeep.stopped()
		}
	}
}

// detach ends the upkeeps of a table.
func (t *liveTable) detach() {
	for _, p := range t.partitions {
		if p.upkeep != nil {
			p.upkeep.end()
		}
	}
}
