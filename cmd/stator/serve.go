package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/statordb/stator/bench/trace"
	"github.com/statordb/stator/server"
)

type serveCommand struct {
	Dir         string        `type:"path" predictor:"dir" default:"stator-data" help:"Directory of the database; made if missing."`
	Memory      bool          `help:"Keep everything in memory: nothing survives the process."`
	Addr        string        `default:"127.0.0.1:8000" help:"Address to listen on; port 0 takes a free one."`
	NoMmap      bool          `name:"no-mmap" help:"Read files with system calls instead of mapping them into memory."`
	Sync        string        `enum:"always,interval,never" default:"always" help:"When writes reach the disk: always (before they are acknowledged), interval (every 100 ms), never (when the system likes). A killed process loses nothing in any mode; a power cut may with the last two."`
	Insecure    bool          `help:"Allow addresses other than loopback: whoever reaches them can read and write everything, with any credentials."`
	Shared      bool          `help:"Keep one set of tables for all callers. By default each access key stands for an account, which has tables of its own in each region."`
	Region      string        `default:"us-east-1" help:"Region of shared tables, and of callers that name none."`
	GSIDelay    time.Duration `name:"gsi-delay" default:"0s" help:"How long changes are held back from global secondary indexes, to make visible what eventual consistency may mean. By default they follow within milliseconds."`
	TableDelay  time.Duration `default:"100ms" help:"How long a table shows that it is being created, updated or deleted, as in the service, where it takes seconds. Until then a new table does not exist for items. DescribeTable waits for up to a second for the end of it."`
	SplitBytes  int64         `name:"split-bytes" default:"10737418240" help:"Size from which on a partition is split in two. A negative one: never."`
	SplitRate   int           `name:"split-rate" default:"10000" help:"Requests per second that a partition may have for a minute until it is split, in a cluster. A negative number: never."`
	TTLInterval time.Duration `name:"ttl-interval" default:"10s" help:"Pause between searches for items whose time to live has passed. A negative one keeps them."`
	CORS        []string      `name:"cors" placeholder:"ORIGIN" help:"Origins of web pages that may call, separated by commas. Default: all."`
	Optimize    bool          `help:"Merge all files of the database before it is served, so that nothing deleted takes space."`
	Admin       bool          `help:"Answer stator admin, too. Whoever reaches the address can then take nodes down."`
	Record      string        `type:"path" placeholder:"FILE" help:"Record which operations come, for stator bench run --trace: when, of which kind, their keys and sizes; no values."`
	RecordHash  bool          `name:"record-hashed" help:"Record hashes of keys, whose salt is thrown away, instead of keys."`
	Pprof       string        `placeholder:"HOST:PORT" help:"Serve profiles of the process at /debug/pprof/, for go tool pprof. Loopback only."`
	Verbose     bool          `short:"v" help:"Log more."`

	nodeFlags `embed:"" group:"Cluster"`
}

// drainFor is how long requests under way may take after SIGTERM.
const drainFor = 20 * time.Second

func (c *serveCommand) Run(ctx context.Context) error {
	if err := c.checkAddr(); err != nil {
		return err
	}
	sync, err := server.ParseSyncMode(c.Sync)
	if err != nil {
		return err
	}
	defer spaceCollections(collectAfter)()
	endProfiles, err := profiles(c.Pprof)
	if err != nil {
		return err
	}
	defer endProfiles()
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if c.Optimize && !c.Memory {
		if err := c.optimize(); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(c.Record); err == nil && c.Record != "" { // before a database is made
		return fmt.Errorf("--record %s: the file exists, and what was recorded is not overwritten", c.Record)
	}
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	o := server.Options{
		Dir: c.Dir, Memory: c.Memory, Sync: sync, NoMmap: c.NoMmap, Shared: c.Shared, Region: c.Region, TableDelay: c.TableDelay, TTLInterval: c.TTLInterval, SplitBytes: c.SplitBytes, SplitRate: c.SplitRate, IndexDelay: c.GSIDelay, Origins: c.origins(), Log: log, Admin: c.Admin,
	}
	if c.isNode() {
		return c.serveNode(ctx, o, listener)
	}
	db, err := server.Open(o)
	if err != nil {
		return err
	}
	handler, endRecord, err := c.record(db.Handler())
	if err != nil {
		return errors.Join(err, db.Close())
	}
	fmt.Printf("stator %s: DynamoDB API at http://%s (%s)\n", version(), listener.Addr(), c.where())
	return errors.Join(serve(ctx, listener, handler, log, func() {}), endRecord(), db.Close())
}

// serveNode is the same for a node of a cluster.
func (c *serveCommand) serveNode(ctx context.Context, o server.Options, l net.Listener) error {
	n, err := c.nodeOptions()
	if err != nil {
		return err
	}
	node, err := server.OpenNode(ctx, o, n)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errors.New("stopped before the node had its place in a cluster")
	}
	if err != nil {
		return err
	}
	handler, endRecord, err := c.record(node.Handler())
	if err != nil {
		return errors.Join(err, node.Close())
	}
	id, cluster := node.Place()
	fmt.Printf("stator %s: DynamoDB API at http://%s (%s; node %d in zone %s of cluster %s, at %s for the others)\n",
		version(), l.Addr(), c.where(), id, n.Zone, cluster[:8], node.ClusterAddr())
	return errors.Join(serve(ctx, l, handler, o.Log, node.Resign), endRecord(), node.Close())
}

// record puts a recorder in front of the handler, if that is asked for.
func (c *serveCommand) record(h http.Handler) (recorded http.Handler, end func() error, err error) {
	if c.Record == "" {
		return h, func() error { return nil }, nil
	}
	file, err := os.OpenFile(c.Record, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // what was recorded is not overwritten
	if err != nil {
		return nil, nil, err
	}
	r, err := trace.NewRecorder(h, file, c.RecordHash)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return r, func() error { return errors.Join(r.Close(), file.Close()) }, nil
}

// optimize compacts the database, if there is one.
func (c *serveCommand) optimize() error {
	if _, err := os.Stat(c.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return server.Compact(c.Dir, io.Discard)
}

func (c *serveCommand) origins() []string {
	if slices.Contains(c.CORS, "*") {
		return nil
	}
	return c.CORS
}

func (c *serveCommand) where() string {
	if c.Memory {
		return "in memory: nothing is kept"
	}
	return fmt.Sprintf("data in %s, sync %s", c.Dir, c.Sync)
}

// checkAddr refuses to expose a database that accepts any credentials.
func (c *serveCommand) checkAddr() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("--addr %s is not of the form HOST:PORT: %w", c.Addr, err)
	}
	if c.Insecure || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--addr %s is not a loopback address, and without IAM any credentials are accepted; give --insecure to listen there all the same", c.Addr)
}

// serve answers requests until ctx ends, calls leave, and then lets those under way
// finish.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, leave func()) error {
	srv := server.NewHTTPServer(h)
	srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Serve(l) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	leave()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	err := srv.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(errors.New("some requests did not finish in time"), srv.Close())
	}
	return err
}
