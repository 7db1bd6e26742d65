package lsm

import (
	"errors"
	"time"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/manifest"
)

// cleanTask closes and removes files that no reader can reach any more, and gives the
// memory of memtables back.
func (db *DB) cleanTask() error {
	for {
		if !db.awaitCleaning() {
			return nil
		}
		db.clean()
	}
}

// slabsIdle is how long the memory of flushed memtables waits for the next one.
const slabsIdle = 5 * time.Second

// awaitCleaning waits until there is something to clean up; false means that there will
// be nothing more. When writes pause, the memory that was kept for memtables goes, and
// so do the log files that were kept for reuse.
func (db *DB) awaitCleaning() bool {
	for db.slabs.Bytes() > 0 {
		if _, ok := db.cleanings.RecvFor(slabsIdle); ok {
			return true
		}
		if db.cleanings.Closed() {
			return false
		}
		db.slabs.Trim()
		db.divideMemory()
		_ = db.trimSpares() // whoever writes next is told if the log has failed
	}
	_, ok := db.cleanings.Recv()
	return ok
}

// clean closes what is obsolete. A table or value file is in no version any more when it gets
// here; so nobody reads it, and nobody will. Its file goes only if the manifest does
// not name it: at Close the tables of the last version are obsolete, too.
//
// After the log of the manifest failed, files stay: it is unknown which of them the
// next Open will want.
func (db *DB) clean() {
	db.mu.Lock()
	tables, values := db.obsolete, db.values.obsolete
	db.obsolete, db.values.obsolete = nil, nil
	memories := db.flushedOut
	db.flushedOut = nil
	keep := db.failure != nil
	db.mu.Unlock()
	for _, m := range memories {
		m.Free()
	}
	if len(memories) > 0 {
		db.divideMemory()
	}
	for _, t := range tables {
		if t.reader != nil {
			_ = t.reader.Close() // only gives back the mapping
		}
		if t.dropped && !keep {
			db.removeFile(t.name, t.meta.Num)
		}
	}
	for _, f := range values {
		if f.reader != nil {
			_ = f.reader.Close()
		}
		if f.dropped && !keep {
			db.removeFile(f.name, f.meta.Num)
		}
	}
}

// removeFile removes a file that nobody needs. If that fails, the next Open does it.
func (db *DB) removeFile(name string, num manifest.FileNum) {
	if err := db.fs.Remove(name); err == nil || errors.Is(err, vfs.ErrNotExist) {
		db.o.Events.removed(num)
	}
}
