// Package vfs is the disk as Stator uses it: a small file system interface
// with the operating system behind it in production and a simulated disk,
// which loses and tears unsynced data at a crash, behind it in tests.
//
// All names are slash-separated and relative to the root the FS was made for.
//
//	OS      the operating system's files
//	Mem     plain memory, no faults
//	Disk    simulated: page cache, durable image, crashes and faults on demand
//	Inject  a hook in front of any of them
//
// Reading order: this file, os.go, guard.go, then disk.go with diskdir.go,
// diskfile.go and diskcrash.go.
package vfs

import (
	"errors"
	"io/fs"
	"syscall"
)

// Errors a caller may test for with errors.Is, whatever the implementation.
var (
	ErrNotExist = fs.ErrNotExist
	ErrExist    = fs.ErrExist
	ErrNoSpace  = error(syscall.ENOSPC) // the device or quota is full
	ErrIO       = error(syscall.EIO)
	ErrDead     = errors.New("vfs: handle of an earlier life") // simulated node crashed
)

// What a simulated disk fails with. It matches ErrIO and ErrNoSpace, whose words differ from system to
// system, and says the same on each of them: errors travel in messages, and a
// simulated run is the same everywhere.
var (
	SimulatedIO      error = &simulated{"input/output error", ErrIO}
	SimulatedNoSpace error = &simulated{"no space left on device", ErrNoSpace}
)

type simulated struct {
	text string
	is   error
}

func (e *simulated) Error() string { return e.text }
func (e *simulated) Unwrap() error { return e.is }

// An FS is a tree of files. It is safe for concurrent use.
type FS interface {
	// Create makes a new file (always a new inode) open for reading and
	// writing; an existing name is replaced. Durable only after SyncDir.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Remove unlinks a file. Open handles and mappings stay usable.
	Remove(name string) error
	// Rename replaces newname atomically. Durable only after SyncDir.
	Rename(oldname, newname string) error
	// Link makes a second name for a file (checkpoints).
	Link(oldname, newname string) error
	// List returns the sorted base names of the files and directories in dir
	// ("" is the root).
	List(dir string) ([]string, error)
	// MkdirAll makes dir and its parents.
	MkdirAll(dir string) error
	// SyncDir makes the entries of dir durable ("" is the root).
	SyncDir(dir string) error
	// Usage returns the free and total bytes of the device.
	Usage() (free, total int64, err error)
}

// A File is an open file. WriteAt may extend it.
type File interface {
	ReadAt(p []byte, off int64) (int, error) // io.ReaderAt's contract
	WriteAt(p []byte, off int64) (int, error)
	// WriteThrough writes p and makes it durable, with the size of the file as far as
	// it takes to read p. What else was written to the file may stay in the page
	// cache: where there is much of it, that is far cheaper than Sync. After an error
	// the same holds as after one of Sync.
	WriteThrough(p []byte, off int64) (int, error)
	// Sync makes data and size durable. After an error the file's content is
	// unknown: the caller must stop using it (fail-stop), never retry.
	Sync() error
	Size() (int64, error)
	Truncate(n int64) error
	// Preallocate reserves space for the first n bytes and extends the file to
	// that size with zeros. ErrNoSpace if the device cannot hold them.
	Preallocate(n int64) error
	// Map maps the whole file, which must be immutable and synced. Where files
	// cannot be mapped, the error matches errors.ErrUnsupported.
	Map() (Mapping, error)
	// MapShared maps the first n bytes, which must have been preallocated, for
	// writing.
	MapShared(n int64) (SharedMapping, error)
	Close() error
}

// A SharedMapping is a way to write to a file without a system call for each write.
// What was written is seen by ReadAt at once, survives the process, and is durable
// after the file's Sync: all as with WriteAt.
//
// It must not be used after the file is closed. It is not safe for concurrent use.
type SharedMapping interface {
	// WriteAt copies p to off, within the bytes that were mapped. A device that
	// cannot take it is an ErrIO.
	WriteAt(p []byte, off int64) (int, error)
	Release()
}

// A Mapping is a read-only view of a file. Slices from it are valid until
// Release.
type Mapping interface {
	// Bytes is the whole file, for measured hot loops that run under Guard; nil
	// if the file is read instead (ReadMapping).
	Bytes() []byte
	// Size is the length of the file.
	Size() int64
	// View returns n bytes at off; read faults enter here in the simulator.
	View(off int64, n int) ([]byte, error)
	Release()
}
