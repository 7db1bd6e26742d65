package table

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
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
	// TokenMark is a tenth of how long a client may repeat a transaction under its token; default 1 minute. Simulators
	// have less time.
	TokenMark time.Duration
	// CancelledFor is how long it is remembered of a transaction that it was cancelled; default 10 minutes. Whatever of it comes
	// later is refused for its age, as are all that are as old. Simulators have less time.
	CancelledFor time.Duration
	// PageBytes is how much item data a page of a query or scan reads at most; default 1 MB. A batch of reads has sixteen times
	// as much. Simulators have smaller items.
	PageBytes  int
	ClockBound time.Duration // largest clock error to accept from the host; 0 = what env claims
	// TransactionPatience is how long a transaction may be undecided until whoever comes across it
	// takes its coordinator for dead, and finishes it; default 5 s. Too short, it has transactions
	// cancelled that are being carried out, and nothing worse.
	TransactionPatience time.Duration

	// What follows is for nodes of a cluster. Without Calls a node is alone.

	// Calls reaches the other nodes. Hooks are those whose methods the
	// replication.Node was given.
	Calls Calls
	Hooks *Hooks
	// Node is this node's number, which is that of the replication.Node, Zone its
	// availability zone, and Address where others reach it. Default 1, none, none.
	Node          uint64
	Zone, Address string
	// Founders are the nodes that begin a new cluster together, and the same on each
	// of them. Default: node 1 alone. A node that is not among them joins: it knows
	// nothing until the cluster has taken it in.
	Founders []Member
	// Patience is how long a request is repeated while no replica answers it;
	// default 10 s.
	Patience time.Duration
	// LostAfter is how long a node is silent before its replicas are made anew on
	// other nodes; default 5 minutes.
	LostAfter time.Duration
	// StaleReads has eventually consistent reads go to a replica that does not lead,
	// if there is one in reach, so that they show what replication lag means.
	// Default: the nearest replica.
	StaleReads bool

	// SplitBytes is the size from which on a partition is split in two; default 10 GB,
	// negative: never. It counts items as DynamoDB does.
	SplitBytes int64
	// SplitRate is how many requests per second a partition may have, for SplitAfter, until
	// it is split so that another node can lead a part of it; pages count by 4 kB. Default
	// 10,000, negative: never. A node that is alone does not do it.
	SplitRate int
	// SplitAfter is how long a partition must have had more than that; default 1 minute.
	SplitAfter time.Duration
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
	calls     Calls  // to other nodes; nil if there are none
	directory *directory
	patience  time.Duration // how long a request is repeated
	stale     time.Duration // see Options.TransactionPatience
	requests  requests
	pageBytes int // see Options.PageBytes

	life     uint64 // of the node, in the ids of its transactions
	tokens   tokenGuard
	mark     time.Duration // see Options.TokenMark
	fences   time.Duration // see Options.CancelledFor
	forgets  forgetting
	stirred  *env.Queue[struct{}]  // wakes watchTransactions
	closing  *env.Future[struct{}] // set when Close begins
	builders *env.Group            // tasks that create and delete indexes, and expired items

	catalog      *catalog
	catalogGroup group

	reign atomic.Pointer[reign] // nil while another node is in charge

	// For nodes of a cluster; follow.go and role.go.
	zone, address string
	founders      []Member
	isStale       bool                 // see Options.StaleReads
	lostAfter     time.Duration        // see Options.LostAfter; 0 on a node that is alone
	resigned      atomic.Bool          // see Resign
	tasks         *env.Group           // that end when the service closes
	fresh         atomic.Bool          // the catalog is as new as this life of the node
	changed       *env.Queue[struct{}] // wakes follow
	doubted       atomic.Bool          // has follow ask for a newer catalog
	told          atomic.Uint64        // node that led the catalog when it was asked last; 0 = not asked
	leftovers     atomic.Bool          // there may be data of replicas that are gone; see dropLeftovers
	roles         roleChanges
	staying       uint64      // version of the directory in which there was no group to leave; of the task that follows
	unborn        atomic.Bool // a replica waits for a split, or has come to one
	births        births
	split         thresholds
	heats         heats
	survey        survey

	// local is held while replicas of this node start or go and while tables are
	// shown to the data plane; never over a wait for other nodes.
	local    *env.Latch
	followed *catalogView // what the node is in line with; guarded by local

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
		self: firstNode, directory: newDirectory(e), patience: defaultPatience, stale: cmp.Or(o.TransactionPatience, defaultStale),
		life: e.Rand() | 1, stirred: env.NewQueue[struct{}](e, 1),
		closing: env.NewFuture[struct{}](e), builders: env.NewGroup(e),
		tasks: env.NewGroup(e), local: env.NewLatch(e), changed: env.NewQueue[struct{}](e, 1)}, o)
	s.mark = cmp.Or(max(0, o.TokenMark), partition.TokenLife/partition.TokenMarks)
	s.tokens.life = partition.TokenMarks * s.mark
	s.fences, s.pageBytes = cmp.Or(max(0, o.CancelledFor), defaultCancelledFor), cmp.Or(max(0, o.PageBytes), partition.PageBytes)
	s.births.mu.Bind(e)
	s.forgets.mu.Bind(e)
	s.heats.mu.Bind(e)
	s.survey.mu.Bind(e)
	s.split = o.thresholds()
	if o.Calls != nil {
		return s, s.openCluster(o)
	}
	s.reign.Store(newReign(e))
	var err error
	if s.catalog, err = openCatalog(db); err != nil {
		return nil, err
	}
	if s.catalogGroup, err = h.Start(catalogGroup, s.catalog, firstNodes); err != nil {
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
	interrupted, err := s.startTables()
	if err != nil {
		return err
	}
	for _, r := range interrupted {
		if err := s.enter(r.space).finish(r); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
			return err
		}
	}
	if err := s.removeOrphans(); err != nil {
		return err
	}
	s.startTasks()
	s.keep("transactions", s.watchTransactions)
	s.keep("tokens", s.watchTokens)
	return nil
}

// startTables starts the tables of the catalog that have their groups, and shows the active ones. It
// returns those that are not active.
func (s *Service) startTables() (others []*record, err error) {
	var active, whole []*record
	for _, r := range s.catalog.snapshot().records() {
		if r.status.hasGroups() {
			whole = append(whole, r)
		}
		if r.status == recordActive {
			active = append(active, r)
		} else {
			others = append(others, r)
		}
	}
	if err := s.startAll(whole); err != nil {
		return nil, err
	}
	for _, r := range active {
		s.enter(r.space).show(r)
	}
	return others, nil
}

// startTasks starts the tasks of the node in charge that the tables need.
func (s *Service) startTasks() {
	s.startSplitter()
	for _, r := range s.catalog.snapshot().records() {
		s.enter(r.space).startBuilder(r)
		if r.ttl.Enabled {
			s.startExpirer()
		}
	}
}

// show makes a table visible while nobody reads yet.
func (s *Service) show(r *record) {
	t := s.newLiveTable(r)
	s.attach(t)
	(*s.live.Load())[t.def.Name] = t
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
	case recordClosing, recordDeleting:
		return s.tearDown(r)
	}
	return nil
}

// publish makes a table visible to the data plane, or replaces it, unless a later
// version is visible.
func (s *Service) publish(r *record) *liveTable {
	s.local.Lock()
	defer s.local.Unlock()
	return s.publishLocked(r)
}

func (s *Service) publishLocked(r *record) *liveTable {
	live := s.live.Load()
	if live == nil {
		return s.newLiveTable(r) // closed meanwhile
	}
	if t := (*live)[r.def.Name]; t != nil && t.id == r.id && t.version > r.version {
		return t
	}
	s.jobsOf(r) // and changes the directory
	t := s.newLiveTable(r)
	s.attach(t)
	next := s.copyLive()
	next[t.def.Name] = t
	s.live.Store(&next)
	return t
}

// retract hides a table from the data plane.
func (s *Service) retract(name string) {
	s.local.Lock()
	defer s.local.Unlock()
	s.retractLocked(name)
}

func (s *Service) retractLocked(name string) {
	t := (*s.live.Load())[name]
	if t == nil {
		return
	}
	next := s.copyLive()
	delete(next, name)
	s.live.Store(&next)
	t.detach()
	if s.calls == nil {
		t.detached()
	}
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
	if t == nil && s.calls != nil {
		var err error
		if t, err = s.lookAgain(name); err != nil {
			return nil, err
		}
	}
	if t == nil || s.creating(name) {
		return nil, &NotFoundError{Table: table}
	}
	return t, t.failed
}

// lookupIndex is lookup for a request about an index, "" = none, which the node may not
// have heard of yet, or not that it is active.
func (s *Service) lookupIndex(table, index string) (*liveTable, error) {
	t, err := s.lookup(table)
	if err != nil || index == "" || s.calls == nil {
		return t, err
	}
	if k := t.indexes[index]; k == nil || k.global && k.status != indexActive {
		if _, err := s.lookAgain(t.def.Name); err != nil {
			return nil, err
		}
		return s.lookup(table)
	}
	return t, nil
}

// lookAgain finds a table that the node may not have heard of yet, nil if there is none.
// That there is none only the catalog can say: one that cannot be asked, such as by a
// node that has just been started, is ErrUnavailable.
func (s *Service) lookAgain(name string) (*liveTable, error) {
	until := s.env.Now().Add(s.patience)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := s.refresh()
		live := s.live.Load()
		if known := (*s.spaces.Load())[s.id]; known != nil { // since the catalog was asked, it may be
			live = known.live.Load()
		}
		if live == nil {
			return nil, ErrClosed
		}
		if err == nil {
			return (*live)[name], nil
		}
		s.env.Sometimes("table: the catalog cannot be asked")
		left := until.Sub(s.env.Now())
		if left <= 0 || s.closing.Ready() {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		s.env.Sleep(min(pause, left))
	}
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
	s.endReign()
	_ = s.builders.Wait()
	_ = s.tasks.Wait()
	s.control.Lock()
	defer s.control.Unlock()
	for _, in := range s.known() {
		live := in.live.Swap(nil)
		if live == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(*live)) {
			(*live)[name].detach()
			(*live)[name].detached()
		}
	}
	return nil
}
