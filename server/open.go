package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// A SyncMode says when an acknowledged write is safe from a power cut.
type SyncMode = replication.SyncMode

// The modes. A crash of the process alone loses nothing in any of them.
const (
	SyncAlways   = replication.SyncAlways   // before it is acknowledged
	SyncInterval = replication.SyncInterval // within 100 ms
	SyncNever    = replication.SyncNever    // whenever the operating system writes it
)

// ParseSyncMode reads "always", "interval" or "never".
func ParseSyncMode(text string) (SyncMode, error) {
	switch text {
	case "always":
		return SyncAlways, nil
	case "interval":
		return SyncInterval, nil
	case "never":
		return SyncNever, nil
	}
	return 0, fmt.Errorf("server: sync mode %q is not always, interval or never", text)
}

// Options configure a Server.
type Options struct {
	// Dir is the directory of the database; it is made if it does not exist.
	Dir string
	// Memory keeps everything in memory instead; Dir is not used.
	Memory bool
	// Sync says when a write is acknowledged. Default SyncAlways.
	Sync SyncMode
	// NoMmap has the engine read files with system calls instead of mapping them.
	NoMmap bool
	// Shared has all callers share one set of tables. By default each access key
	// stands for an account, and has tables of its own in each region.
	Shared bool
	// Region is that of shared tables, of callers that name none, and of the
	// health check. Default "us-east-1".
	Region string
	// TableDelay is how long a table shows that it is being created, updated or
	// deleted. Until then a new one does not exist for items. Default 0: a table is
	// ready when CreateTable answers.
	TableDelay time.Duration
	// IndexDelay is how long changes are held back from global secondary indexes,
	// to make visible what eventual consistency may mean. Default 0: they follow
	// within milliseconds. While 64 MB of changes wait, it is less.
	IndexDelay time.Duration
	// TTLInterval is the pause between searches for items whose time to live has
	// passed. Default 10 s; negative: they are not deleted.
	TTLInterval time.Duration
	// SplitBytes is the size from which on a partition of a table or index is split in two.
	// Default 10 GB; negative: never.
	SplitBytes int64
	// SplitRate is how many requests per second a partition may have, for a minute, until it is split so
	// that another node can lead a part of it. Default 10,000; negative: never. A server that is
	// alone does not do it.
	SplitRate int
	// Origins are the web pages that browsers may call from. Default: all.
	Origins []string
	// Log receives what operators should know. Default: nothing.
	Log *slog.Logger
	// Admin has Handler answer operators, at /_stator/admin/. Whoever reaches it can take
	// nodes down. Default: it is not there.
	Admin bool
	// Cluster makes the server one of several nodes. Default: it is alone.
	Cluster *Cluster
	// Tuning is for simulators and tests.
	Tuning Tuning
}

func (o *Options) setDefaults() {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Memory {
		o.Sync = SyncNever // there is nothing to sync to
	}
}

// A Server is an open database and its HTTP edge. It is safe for concurrent use.
type Server struct {
	env   *env.Env
	calls *transport.Calls // to other nodes; nil if there are none

	cluster  *Cluster                                    // nil if it is alone
	local    map[string]func(*AdminRequest) (any, error) // operations for operators; see admin.go
	complete func(*AdminStatus)                          // nil: nothing to add

	edge   *edge
	tables *table.Service
	trees  expr.Cache // shared by all callers
	node   *replication.Node
	store  *lsm.DB
	lock   *vfs.DirLock // nil in memory
}

// Directories below the database's own.
const (
	storeDir = "store"
	raftDir  = "raft"
)

// nodeID names the only node there is.
const nodeID = 1

// Open opens the database of o. It fails with an error in whose chain is
// vfs.ErrLocked if another process has it open.
func Open(o Options) (*Server, error) {
	if o.Memory {
		return OpenOn(env.New(), vfs.NewMem(), o)
	}
	fs, err := vfs.NewOS(o.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := recognise(fs); err != nil {
		return nil, err // before anything is written there
	}
	lock, err := vfs.Lock(fs.Root())
	if err != nil {
		return nil, err
	}
	if err := isAlone(fs); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s, err := OpenOn(env.New(), fs, o)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

// OpenOn opens the database in the root of fs, in e's world. The caller sees
// to it that nobody else uses fs. Options about where the database is do not
// matter.
func OpenOn(e *env.Env, fs vfs.FS, o Options) (*Server, error) {
	o.setDefaults()
	if err := checkFormat(fs); err != nil {
		return nil, err
	}
	store, err := lsm.Open(e, fs, o.store())
	if err != nil {
		return nil, err
	}
	s := &Server{env: e, store: store, cluster: o.Cluster, local: map[string]func(*AdminRequest) (any, error){}}
	if err := s.open(e, fs, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// store returns the options of the engine.
func (o Options) store() lsm.Options {
	return o.Tuning.store(partition.StoreOptions(lsm.Options{
		Dir:           storeDir,
		DisableWAL:    true,     // the raft log is the log
		MemtableBytes: 32 << 20, // bounds what a restart replays
		NoPreallocate: o.Memory,
		NoMmap:        o.NoMmap,
		Events:        logged(o.Log),
	}))
}

// open puts the rooms above the store.
func (s *Server) open(e *env.Env, fs vfs.FS, o Options) (err error) {
	r := replication.Options{NodeID: nodeID, Dir: raftDir, Sync: o.Sync, Volatile: o.Memory}
	t := table.Options{Region: o.Region, TableDelay: o.TableDelay, TTLInterval: o.TTLInterval, IndexDelay: o.IndexDelay,
		SplitBytes: o.SplitBytes, SplitRate: o.SplitRate}
	if o.Cluster != nil {
		s.join(e, o.Cluster, &r, &t)
	}
	if s.node, err = replication.Open(e, fs, s.store, o.Tuning.replication(r)); err != nil {
		return err
	}
	if s.tables, err = table.Open(e, s.store, s.node, o.Tuning.tables(t)); err != nil {
		return err
	}
	home := Caller{Account: s.tables.Account(), Region: o.Region}
	s.edge = newEdge(o.Region, o.Log, nil)
	s.edge.origins, s.edge.callers.account = o.Origins, home.Account
	if !o.Shared {
		s.edge.callers.enter = s.enter
	}
	s.edge.callers.shared = s.forwarding(home, s.here(home))
	if o.Admin {
		s.edge.admin = s.serveAdmin
	}
	if s.calls != nil {
		s.addNodeOperations()
		s.calls.Serve(callOperate, s.serveOperate)
	}
	return nil
}

// enter returns the operations on the tables of an account in a region.
func (s *Server) enter(account, region string) (map[string]operation, bool) {
	_, known := s.tables.In(account, region)
	who := Caller{Account: account, Region: region}
	return s.forwarding(who, s.here(who)), known
}

// here returns the operations as this node carries them out by itself.
func (s *Server) here(who Caller) map[string]operation {
	tables := s.tables
	if s.edge.callers.enter != nil {
		tables, _ = s.tables.In(who.Account, who.Region)
	}
	front := &frontend{tables: tables, account: who.Account, region: who.Region, trees: &s.trees}
	return front.operations()
}

// Handler serves the DynamoDB API; see NewHTTPServer.
func (s *Server) Handler() http.Handler { return s.edge }

// Close stops the database from the top down. Stop the HTTP server first:
// requests that come later fail. It may be called once.
func (s *Server) Close() error {
	var errs []error
	if s.calls != nil {
		if s.tables != nil {
			s.Resign()
		}
		s.calls.Stop()
	}
	if s.tables != nil {
		errs = append(errs, s.tables.Close())
	}
	if s.node != nil {
		errs = append(errs, s.node.Close())
	}
	if s.calls != nil {
		s.calls.Close()
	}
	errs = append(errs, s.store.Close())
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
