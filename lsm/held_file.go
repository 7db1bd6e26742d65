package lsm

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
)

// A heldFile is what tables and value files have in common: a file that the manifest names,
// and versions hold. It is a part of both, never copied.
type heldFile struct {
	kind string // what it is, for errors: "table", "value file"
	num  manifest.FileNum
	name string

	// damage is why nothing is merged with the table, or moved out of the value file, any
	// more. Reads go on, as far as there is a reader, and find what is still sound.
	damage atomic.Pointer[error]

	verified atomic.Bool // found to be sound by Verify; see VerifyNew

	refs    int  // versions that hold the file; guarded by DB.mu
	dropped bool // the manifest does not name it any more; guarded by DB.mu
}

// isSound reports whether the file is not known to be damaged.
func (f *heldFile) isSound() bool { return f.damage.Load() == nil }

// unreadable returns the error of a file without a reader.
func (f *heldFile) unreadable() error { return *f.damage.Load() }

// quarantined notes that a file that the manifest names cannot be opened. Reads that need
// it give the error.
func (db *DB) quarantined(f *heldFile, err error) {
	if errors.Is(err, vfs.ErrNotExist) {
		err = corrupt.New(f.name, 0, "%s is missing", f.kind)
	}
	db.damaged(f, err)
}

// damaged notes the damage of a file, the first that is found of it.
func (db *DB) damaged(f *heldFile, err error) {
	err = fmt.Errorf("lsm: %s %s: %w", f.kind, f.num, err)
	if f.damage.CompareAndSwap(nil, &err) {
		db.metrics.damaged.Add(1)
		db.o.Events.damaged(DamageEvent{Table: f.num, Name: f.name, Err: err})
	}
}
