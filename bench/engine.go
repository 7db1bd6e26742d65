package bench

import "time"

// An Engine is an ordered store under measurement. It is safe for concurrent
// use.
type Engine interface {
	NewSession() (Session, error)
	// Settle brings everything to where it stays if no more is written: all
	// flushed, all merged. There are no sessions.
	Settle() error
	Close() error
}

// A Session is one goroutine's access to an engine.
type Session interface {
	// Get appends the value of key to dst.
	Get(key, dst []byte) (value []byte, found bool, err error)

	// Scan visits up to n entries in order and returns how many there were: from
	// the first key that is not below from on; in reverse, from the last key
	// below from on. Without from it begins at the end that it comes from. What is
	// visited is valid during the visit.
	Scan(from []byte, reverse bool, n int, visit func(key, value []byte)) (int, error)

	// Set adds to what the next Commit writes in one atomic batch. It copies.
	Set(key, value []byte)

	// Commit writes. With Settings.Durable it returns when that is synced.
	Commit() error

	Close() error
}

// A Deleter is a Session of an engine that deletes. What it deletes goes with the next Commit.
type Deleter interface{ Delete(key []byte) }

// A Staller is an Engine that counts writes that had to wait for background work.
type Staller interface {
	Stalls() (count uint64, waited time.Duration)
}

// Settings are the same for all engines of a run.
type Settings struct {
	// MemoryBytes is for caches of blocks, filters and indexes. Every engine
	// that has write buffers has them of WriteBufferBytes on top.
	MemoryBytes int64

	Compression Compression

	// Durable makes each commit survive a power cut.
	Durable bool

	// Faceted lets an engine keep what it needs to find entries by InShare, if it can.
	Faceted bool

	// Writers is how many sessions commit at the same time.
	Writers int
}

// WriteBufferBytes is the size of a memtable; up to WriteBuffers of them may
// wait for being flushed.
const (
	WriteBufferBytes = 64 << 20
	WriteBuffers     = 4
)

// Compression is a class of codecs.
type Compression string

// The classes. An engine that cannot compress does not.
const (
	Uncompressed Compression = "none"
	Fast         Compression = "fast" // Snappy, or S2 where there is no Snappy
)

// An Opener opens one kind of engine.
type Opener struct {
	Name string

	// Survives says what becomes of a commit that was not synced when the
	// process is killed.
	Survives string

	// Open opens the database in the directory, or makes one there.
	Open func(dir string, s Settings) (Engine, error)
}
