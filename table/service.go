package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// ErrClosed refuses operations after Close.
var ErrClosed = errors.New("table: service is closed")

// Options configures a Service. The zero value is a good default.
type Options struct {
	Region     string        // of the home space; default us-east-1
	Account    string        // of the home space; default 000000000000
	TableDelay time.Duration // how long tables show that they are being created, updated or deleted; default 0: not at all
	// IndexDelay is how long changes are held back from global indexes, to make
	// visible what eventual consistency may mean; default 0, a few milliseconds in
	// practice. It is less when writes would have to wait for it.
	IndexDelay time.Duration
	// TTLInterval is the pause between searches for items whose time to live has
	// passed; default 10 s, negative: they are not deleted.
	TTLInterval time.Duration
	ClockBound  time.Duration // largest clock error to accept from the host; 0 = what env claims
}

// A Service executes operations on the tables of one account in one region (see
// Space). It is safe for concurrent use.
//
// Control-plane operations run one at a time and are complete when they answer,
// although they answer with the state that DynamoDB shows at that moment
// (CREATING, UPDATING, DELETING).
type Service struct {
	*core
	*space
}

// A core is what the services of all spaces share.
type core struct {
	env   *env.Env
	db    *lsm.DB
	host  host
	clock *txn.Clock

	tableDelay time.Duration // see transition
	indexDelay time.Duration // see Options.IndexDelay
	maxLag     int64         // maxLagBytes, less in tests

	ttlInterval time.Duration // of expire.go
	expiring    bool          // its task runs; guarded by control

	self      uint64 // this node
	directory *directory

	closing  *env.Future[struct{}] // set when Close begins
	builders *env.Group            // tasks that create and delete indexes, and expired items

	catalog      *catalog
	catalogGroup group

	// control is held by control-plane operations, over their waits.
	control *env.Latch
	// spaces are those that have or had tables, and home. The map is immutable;
	// it is replaced under control.
	spaces atomic.Pointer[map[spaceID]*Service]
	home   *space
}

// Open starts the catalog and every table of the node, and finishes creations
// and deletions that a crash interrupted. The store and the node must be open
// and stay so until Close has returned.
func Open(e *env.Env, db *lsm.DB, node *replication.Node, o Options) (*Service, error) {
	return open(e, db, nodeHost{node}, o)
}

func open(e *env.Env, db *lsm.DB, h host, o Options) (*Service, error) {
	s := newService(&core{env: e, db: db, host: h, clock: txn.NewClock(e), control: env.NewLatch(e), indexDelay: max(0, o.IndexDelay), maxLag: maxLagBytes,
		self: firstNode, directory: newDirectory(e),
		closing: env.NewFuture[struct{}](e), builders: env.NewGroup(e)}, o)
	var err error
	if s.catalog, err = openCatalog(db); err != nil {
		return nil, err
	}
	if s.catalogGroup, err = h.Start(catalogGroup, s.catalog); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	if err := s.recover(); err != nil {
		return nil, err
	}
	return s, nil
}

// recover starts the active tables of the catalog and finishes what was
// interrupted. A disk that is full postpones the finishing, not the start.
func (s *Service) recover() error {
	var active, interrupted []*record
	for _, r := range s.catalog.snapshot().records() {
		if r.status == recordActive {
			active = append(active, r)
		} else {
			interrupted = append(interrupted, r)
		}
	}
	if err := s.startAll(active); err != nil {
		return err
	}
	for _, r := range active {
		t := s.newLiveTable(r)
		in := s.enter(t.space)
		s.attach(t)
		(*in.live.Load())[t.def.Name] = t // nobody reads yet
	}
	for _, r := range interrupted {
		if err := s.enter(r.space).finish(r); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
			return err
		}
	}
	if err := s.removeOrphans(); err != nil {
		return err
	}
	for _, r := range s.catalog.snapshot().records() {
		s.enter(r.space).startBuilder(r)
		if r.ttl.Enabled {
			s.startExpirer()
		}
	}
	return nil
}

// removeOrphans drops groups that no table owns, which would pin the log for
// ever. There are some if the machine lost power in a mode that does not sync:
// the store may then remember that a table was dropped while the log has
// forgotten that its groups were removed.
func (s *Service) removeOrphans() error {
	owned := map[uint64]bool{catalogGroup: true}
	for _, r := range s.catalog.snapshot().records() {
		for _, id := range r.groups() {
			owned[id] = true
		}
	}
	for _, id := range s.host.Groups() {
		if owned[id] {
			continue
		}
		if err := s.host.Remove(id); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
			return fmt.Errorf("remove group %d, which no table owns: %w", id, err)
		}
	}
	return nil
}

// finish completes the creation or deletion that a record says is under way.
// The caller holds control, so nobody else is at it.
func (s *Service) finish(r *record) error {
	switch r.status {
	case recordCreating:
		return s.bringUp(r)
	case recordDeleting:
		return s.tearDown(r)
	}
	return nil
}

// publish makes a table visible to the data plane, or replaces it.
func (s *Service) publish(t *liveTable) {
	s.attach(t)
	next := s.copyLive()
	next[t.def.Name] = t
	s.live.Store(&next)
}

// retract hides a table from the data plane.
func (s *Service) retract(name string) {
	next := s.copyLive()
	delete(next, name)
	s.live.Store(&next)
}

func (s *Service) copyLive() map[string]*liveTable {
	current := *s.live.Load()
	next := make(map[string]*liveTable, len(current)+1)
	for name, t := range current {
		next[name] = t
	}
	return next
}

// lookup finds a table that the data plane may use, by name or ARN.
func (s *Service) lookup(table string) (*liveTable, error) {
	live := s.live.Load()
	if live == nil {
		return nil, ErrClosed
	}
	name := s.name(table)
	t := (*live)[name]
	if t == nil || s.creating(name) {
		return nil, &NotFoundError{Table: table}
	}
	return t, t.failed
}

// propose runs a command of the catalog.
func (s *Service) propose(command []byte) (*record, error) {
	v, err := s.catalogGroup.Propose(command).Await()
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	r := v.(*catalogResult)
	return r.record, r.err
}

// Close stops the services of all spaces: operations that begin later are
// refused. The caller must have waited for those in flight before it closes the
// store.
func (s *Service) Close() error {
	s.closing.Set(struct{}{}, nil)
	_ = s.builders.Wait()
	s.control.Lock()
	defer s.control.Unlock()
	for _, in := range s.known() {
		live := in.live.Swap(nil)
		if live == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(*live)) {
			(*live)[name].detach()
		}
	}
	return nil
}
