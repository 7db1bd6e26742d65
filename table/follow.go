package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/replication"
)

// A node of a cluster follows the catalog: it starts the replicas that it shall
// have, shows tables to the data plane as they come, change and go, and drops what is
// left of replicas that nobody wants. All of it can be repeated at any time, and is
// done again after a while whatever happens.
//
// Invariant: a replica is born, and what no table owns is dropped, only in a life of
// the node in which it has heard from the leader of the catalog (core.fresh). The
// catalog that the node finds on its disk may be older than what it had applied
// before a crash: a group that it has left since must not be born again, and one that
// has come since must not be dropped.

const (
	// followPause is the longest time between two looks at the catalog.
	followPause = 2 * time.Second
	followRetry = 50 * time.Millisecond
)

// follow runs until the service closes.
func (c *core) follow() {
	pause := followPause
	for {
		if env.WaitAnyFor(c.env, pause, c.closing, c.changed) == 0 {
			return
		}
		c.changed.TryRecv()
		pause = followPause
		if c.doubted.Swap(false) || !c.fresh.Load() {
			_ = c.refresh()
		}
		if err := c.catchUp(); err != nil {
			c.env.Sometimes("table: node cannot follow the catalog")
			pause = followRetry
		}
		c.leave()
	}
}

// poke has the node look at the catalog.
func (c *core) poke() { c.changed.TrySend(struct{}{}) }

// refresh returns when the node has, and shows, the catalog as it was at the time of
// the call, or a newer one.
func (c *core) refresh() error {
	if c.calls == nil {
		return nil
	}
	if err := c.catalogBarrier(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	c.fresh.Store(true)
	err := c.catchUp()
	if err == nil && c.closing.Ready() {
		return ErrClosed // it follows nothing any more
	}
	return err
}

// catalogBarrier returns when this node has applied what the catalog's leader had
// applied at the time of the call.
func (c *core) catalogBarrier() error {
	err := c.catalogFailure()
	if err == nil {
		err = c.awaitCatalog()
	}
	if err == nil {
		err = c.catalogFailure() // with the very entry, or snapshot, that was waited for
	}
	return err
}

// catalogFailure says why the replica of the catalog here shows nothing new any more; its group goes on without it.
func (c *core) catalogFailure() error {
	if err := c.catalog.Err(); err != nil {
		return fmt.Errorf("%w: %w", replication.ErrFailed, err)
	}
	return nil
}

// awaitCatalog waits for the entries of catalogBarrier.
func (c *core) awaitCatalog() error {
	if c.catalogGroup.Leading() {
		return c.catalogGroup.ReadBarrier()
	}
	until := c.env.Now().Add(callPatience)
	index, err := c.catalogIndex(until)
	for pause := catalogPoll; err == nil; pause = min(2*pause, maxPause) {
		if c.catalogGroup.Applied() >= index {
			return nil
		}
		if c.env.Now() >= until || c.closing.Ready() {
			return errBehind
		}
		if pause == maxPause { // so long: the group may be no more
			if _, err = c.catalogGroup.Status(); err != nil {
				break
			}
		}
		c.env.Sleep(pause)
	}
	return err
}

// catalogPoll is how long a node waits at first for entries that the leader has.
const catalogPoll = 500 * time.Microsecond

// catalogIndex asks the catalog's leader how far it is.
func (c *core) catalogIndex(until env.Mono) (uint64, error) {
	hint := c.catalogGroup.Leader()
	err := error(replication.ErrNotLeader)
	for turn := 0; ; turn++ {
		if c.catalogGroup.Leading() { // by now
			if err = c.catalogGroup.ReadBarrier(); err == nil {
				return c.catalogGroup.Applied(), nil
			}
		}
		if hint == 0 || hint == c.self {
			hint = c.someNode(turn)
		}
		if hint != 0 {
			var a answer
			if a, err = c.ask(hint, callCatalog, catalogGroup, 0, nil, callPatience); err == nil {
				if err = a.err(); err == nil {
					c.told.Store(hint)
					d := reader{b: a.body}
					return d.uint(), nil
				}
				hint = a.leader
			} else {
				hint = 0
			}
		}
		if c.env.Now() >= until || c.closing.Ready() {
			return 0, err
		}
		c.env.Sleep(minPause)
	}
}

// someNode returns another node, a different one in each turn; 0 = none is known.
func (c *core) someNode(turn int) uint64 {
	var ids []uint64
	for _, n := range c.catalog.snapshot().nodes {
		if n.id != c.self && n.state != nodeGone {
			ids = append(ids, n.id)
		}
	}
	for _, m := range c.founders {
		if m.ID != c.self && len(ids) < len(c.founders) && !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	return ids[turn%len(ids)]
}

// serveCatalog tells how far the catalog is, if this node leads it.
func (c *core) serveCatalog(callRequest) answer {
	if !c.catalogGroup.Leading() {
		return answer{verdict: verdictNotLeader}
	}
	if err := c.catalogGroup.ReadBarrier(); err != nil {
		return verdictOf(err)
	}
	var w writer
	w.uint(c.catalogGroup.Applied())
	return answer{body: w.b}
}

// catchUp brings the node in line with the catalog as it has it.
func (c *core) catchUp() error {
	c.local.Lock()
	defer c.local.Unlock()
	view := c.catalog.snapshot()
	if view == c.followed && !c.unborn.Load() || c.closing.Ready() {
		return nil
	}
	c.unborn.Store(false)   // before what follows, which may find more
	fresh := c.fresh.Load() // before what follows
	var errs []error
	for _, r := range view.records() {
		if err := c.enter(r.space).followTable(r); err != nil {
			errs = append(errs, fmt.Errorf("table %s: %w", r.def.Name, err))
		}
	}
	for _, in := range c.known() {
		for name, t := range *in.live.Load() { //sim:ok each is independent of the others
			if r := view.byKey[in.id.key(name)]; r == nil || r.id != t.id {
				in.retractLocked(name)
			}
		}
	}
	if fresh {
		errs = append(errs, c.dropUnowned(view), c.dropStillborn())
	}
	err := errors.Join(errs...)
	switch {
	case err != nil:
		c.followed = nil // also if it was done before, but for a birth, which has failed now
	case fresh:
		c.followed = view
	}
	return err
}

// followTable brings the node in line with the record of one table. The caller
// holds local.
func (s *Service) followTable(r *record) error {
	t := (*s.live.Load())[r.def.Name]
	switch {
	case r.status == recordDeleting:
		if t != nil && t.id == r.id {
			s.retractLocked(r.def.Name)
		}
		return nil
	case r.status == recordClosing:
		if t != nil && t.id == r.id {
			s.retractLocked(r.def.Name)
		}
	case t != nil && t.id == r.id && t.version >= r.version && t.complete:
		return nil
	}
	err := s.startAll([]*record{r})
	if r.status == recordActive && (t == nil || t.id != r.id || t.version <= r.version) {
		s.publishLocked(r)
	}
	return err
}

// dropUnowned drops replicas of groups that no table has, or that are being deleted.
// The caller holds local.
func (c *core) dropUnowned(view *catalogView) error {
	owned := map[uint64]bool{catalogGroup: true}
	for _, r := range view.records() {
		if r.status == recordDeleting {
			continue
		}
		for s := range r.liveSlots() {
			for _, id := range s.allGroups() {
				owned[id] = true
			}
		}
	}
	records, err := c.replicaRecords()
	if err != nil {
		return err
	}
	for _, id := range c.host.Groups() {
		if _, ok := records[id]; !ok && !owned[id] {
			// A group without data: its replica was never started here, or is of
			// before there was a cluster.
			err = errors.Join(err, c.remove(id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if !owned[id] {
			err = errors.Join(err, c.dropChildren(id, records), c.dropReplica(id, records[id]))
		}
	}
	for _, p := range c.directory.list(func(p *livePartition) bool { return !owned[p.id] }) {
		c.directory.forget(p.id)
	}
	return err
}

// leave drops replicas of groups that go on elsewhere, once these count the node as a
// member no more.
func (c *core) leave() {
	if !c.fresh.Load() {
		return
	}
	if version := c.directory.version(); version != c.staying && c.leaveGroups() == 0 {
		c.staying = version
	}
	if c.leftovers.Swap(false) {
		if err := c.dropLeftovers(); err != nil {
			c.env.Sometimes("table: leftovers cannot be dropped")
			c.leftovers.Store(true)
		}
	}
}

// leaveGroups returns how many groups there were that go on elsewhere.
func (c *core) leaveGroups() int {
	leaving := func(p *livePartition) bool { return p.exists() && !p.slot.replicas.has(c.self) }
	list := c.directory.list(leaving)
	for _, p := range list {
		if c.closing.Ready() {
			break
		}
		status, err := c.statusSoon(p.id)
		if err != nil || !status.known || slices.Contains(status.members, c.self) {
			continue
		}
		c.local.Lock()
		if now := c.directory.partition(p.id); now != nil && leaving(now) {
			if err := c.leaveGroup(now); err != nil {
				c.env.Sometimes("table: replica cannot be dropped")
			}
		}
		c.local.Unlock()
	}
	return len(list)
}

// dropLeftovers drops what is left of replicas that were stopped for good when their data could
// not be dropped, in this life or an earlier one.
func (c *core) dropLeftovers() error {
	c.local.Lock()
	defer c.local.Unlock()
	records, err := c.replicaRecords()
	if err != nil {
		return err
	}
	logged := c.host.Groups()
	for _, id := range slices.Sorted(maps.Keys(records)) {
		_, has := slices.BinarySearch(logged, id)
		p := c.directory.partition(id)
		if has || p == nil || p.exists() || p.slot.replicas.has(c.self) || c.isInUse(records[id]) {
			continue
		}
		err = errors.Join(err, c.dropReplica(id, records[id]))
		c.directory.put(p)
	}
	return err
}

// isInUse reports whether a replica here has rows in the span of a record, as one has
// that has not applied a split yet.
func (c *core) isInUse(r replicaRecord) bool {
	inUse := func(p *livePartition) bool {
		if p.table != r.table || p.Partition == nil || p.Config() == nil {
			return false
		}
		config := p.Config()
		return config.First <= r.last && r.first <= config.Last
	}
	return len(c.directory.list(inUse)) > 0
}

// leaveGroup drops a replica, after which the partition is one on other nodes. The
// caller holds local.
func (c *core) leaveGroup(p *livePartition) error {
	records, err := c.replicaRecords()
	if err != nil {
		return err
	}
	r, ok := records[p.id]
	if !ok {
		return nil // it has been done
	}
	err = c.dropReplica(p.id, r)
	if c.directory.partition(p.id) != nil { // it could not be stopped
		return err
	}
	if err != nil { // its data is still there
		c.leftovers.Store(true)
	}
	c.directory.put(&livePartition{core: c, table: p.table, slot: p.slot, first: p.first, last: p.last, id: p.id, lead: p.lead})
	c.republish(p.id)
	return err
}

// republish shows a table anew of which a partition has changed. The caller holds
// local.
func (c *core) republish(group uint64) {
	for _, r := range c.catalog.snapshot().records() {
		for s := range r.liveSlots() {
			if s.group == group && r.status == recordActive {
				c.enter(r.space).publishLocked(r)
				return
			}
		}
	}
}
