package lsm

import (
	"errors"

	"github.com/statordb/stator/internal/vfs"
)

// cleanTask closes and removes tables that no reader can reach any more, and gives the
// memory of memtables back.
func (db *DB) cleanTask() error {
	for {
		if _, ok := db.cleanings.Recv(); !ok {
			return nil
		}
		db.clean()
	}
}

// clean closes what is obsolete. A table is in no version any more when it gets
// here; so nobody reads it, and nobody will. Its file goes only if the manifest does
// not name it: at Close the tables of the last version are obsolete, too.
//
// After the log of the manifest failed, files stay: it is unknown which of them the
// next Open will want.
func (db *DB) clean() {
	db.mu.Lock()
	tables := db.obsolete
	db.obsolete = nil
	memories := db.flushedOut
	db.flushedOut = nil
	keep := db.failure != nil
	db.mu.Unlock()
	for _, m := range memories {
		m.Free()
	}
	for _, t := range tables {
		if t.reader != nil {
			_ = t.reader.Close() // only gives back the mapping
		}
		if !t.dropped || keep {
			continue
		}
		if err := db.fs.Remove(t.name); err != nil && !errors.Is(err, vfs.ErrNotExist) {
			continue // the next Open removes it
		}
		db.o.Events.removed(t.meta.Num)
	}
}
