// Package stator embeds a DynamoDB-compatible database.
//
// A database lives in one directory, or in memory, and belongs to one process
// at a time. It is used through the DynamoDB API: give HTTPClient to any AWS
// SDK client to talk to it without a socket, or serve Handler on a listener.
//
//	db, err := stator.Open("data", stator.Options{})
//	client := dynamodb.New(dynamodb.Options{
//		Region:       "us-east-1",
//		BaseEndpoint: aws.String("http://stator"),
//		Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
//		HTTPClient:   db.HTTPClient(),
//	})
//
// Package statortest does just that for tests.
package stator

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/statordb/stator/server"
)

// A SyncMode says when an acknowledged write is safe from a power cut. In each
// mode it is safe from a crash or kill of the process.
type SyncMode = server.SyncMode

const (
	SyncAlways   = server.SyncAlways   // before it is acknowledged
	SyncInterval = server.SyncInterval // within 100 ms
	SyncNever    = server.SyncNever    // whenever the operating system writes it
)

// Options configure a database. The zero value is durable and good.
type Options struct {
	// InMemory keeps everything in memory; the directory is not used.
	InMemory bool
	// Sync defaults to SyncAlways.
	Sync SyncMode
	// NoMmap reads files with system calls instead of mapping them into memory.
	NoMmap bool
	// Shared has all callers share one set of tables. By default each access key
	// stands for an account, and has tables of its own in each region.
	Shared bool
	// Region is that of shared tables and of callers that name none. Default
	// "us-east-1".
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
	// Origins are the web pages that browsers may call Handler from. Default: all.
	Origins []string
	// Log receives what operators should know. Default: nothing.
	Log *slog.Logger
}

// Memory returns the options of a database that lives in memory.
func Memory() Options { return Options{InMemory: true} }

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	server *server.Server
	close  func() error // closes server the first time
}

// Open opens the database in dir and makes both if there is none. It fails if
// another process has it open, or if dir holds something else.
func Open(dir string, o Options) (*DB, error) {
	if dir == "" && !o.InMemory {
		return nil, errors.New("open database: no directory given")
	}
	s, err := server.Open(server.Options{
		Dir:    dir,
		Memory: o.InMemory,
		Sync:   o.Sync,
		NoMmap: o.NoMmap,
		Shared: o.Shared,
		Region: o.Region,
		Log:    o.Log,

		TableDelay:  o.TableDelay,
		TTLInterval: o.TTLInterval,
		IndexDelay:  o.IndexDelay,
		Origins:     o.Origins,
	})
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", dir, err)
	}
	return &DB{s, sync.OnceValue(s.Close)}, nil
}

// Handler serves the DynamoDB API over HTTP.
func (db *DB) Handler() http.Handler { return db.server.Handler() }

// Close stops the database. Requests that are under way finish or fail; every
// acknowledged write is in the directory. Further calls return what the first
// one did.
func (db *DB) Close() error { return db.close() }
