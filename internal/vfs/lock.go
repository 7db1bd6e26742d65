package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrLocked means that another process, or another part of this one, has the
// directory open.
var ErrLocked = errors.New("in use by another process")

// lockName is the file that carries the lock. It stays behind; only the lock
// on it counts, which the operating system drops with its process.
const lockName = "LOCK"

// A DirLock is the exclusive right to use a directory.
type DirLock struct {
	f *os.File
}

// Lock takes dir (an operating system path), which must exist. It never waits:
// a directory in use gives ErrLocked.
func Lock(dir string) (*DirLock, error) {
	path := filepath.Join(dir, lockName)
	f, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("vfs: lock %s: %w", path, err)
	}
	return &DirLock{f: f}, nil
}

// Close gives the directory back.
func (l *DirLock) Close() error { return l.f.Close() }
