package lsm

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/wal"
)

// Open opens the database in o.Dir, or makes one if there is none. At most one may be
// open on a directory.
//
//  1. The manifest says which tables there are. They are opened; one that cannot be
//     read is put aside, and reads that need it give the error.
//  2. Files that the manifest does not name are left over from work that a crash
//     interrupted, and are removed.
//  3. The operations that are not in tables are replayed from the log.
//
// Damage to the manifest or to the log is a *corrupt.Error.
func Open(e *env.Env, fs vfs.FS, o Options) (*DB, error) {
	db := newDB(e, fs, o)
	if err := db.open(); err != nil {
		db.abandon()
		return nil, fmt.Errorf("lsm: open: %w", err)
	}
	db.start()
	return db, nil
}

func (db *DB) open() error {
	if err := makeDir(db.fs, db.o.Dir); err != nil {
		return err
	}
	if err := db.openManifest(); err != nil {
		return err
	}
	s := db.manifest.State()
	db.nextFile = s.NextFile
	if plant.On(plant.FileNumberReused) {
		db.nextFile = max(1, s.NextFile-2)
	}
	db.lastSeq = s.FlushedSeq
	if plant.On(plant.SequenceReused) && db.lastSeq > 8 {
		db.lastSeq -= 8
	}
	db.openVersion(s)
	if err := db.removeOrphans(s.Version); err != nil {
		return err
	}
	if err := db.openLog(s); err != nil {
		return err
	}
	db.visible.Store(uint64(db.lastSeq))
	return nil
}

// makeDir makes a directory whose name survives a crash.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir); err != nil {
		return err
	}
	for dir != "" && dir != "." {
		if dir = path.Dir(dir); dir == "." {
			dir = ""
		}
		if err := fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) openManifest() error {
	m, err := manifest.Open(db.fs, db.o.manifest())
	if errors.Is(err, manifest.ErrNone) {
		if err := db.checkNothingThere(); err != nil {
			return err
		}
		m, err = manifest.Create(db.fs, db.o.manifest(), manifest.State{Log: 1})
	}
	db.manifest = m
	return err
}

// checkNothingThere makes sure that a database is not taken for none because the file
// by which it is found is lost.
func (db *DB) checkNothingThere() error {
	names, err := db.fs.List(db.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, tableSuffix) || strings.HasSuffix(name, valueSuffix) || strings.HasPrefix(name, logPrefix) {
			return corrupt.New(path.Join(db.o.Dir, "CURRENT"), 0, "file is missing, but there is %s", name)
		}
	}
	return nil
}

// openVersion opens the tables of the manifest and makes them the state.
func (db *DB) openVersion(s manifest.State) {
	tables := map[manifest.FileNum]*table{}
	for _, meta := range s.Version.All() {
		t := db.quarantine(meta)
		t.refs = 1
		tables[meta.Num] = t
	}
	for _, meta := range s.Version.Values {
		db.values.open[meta.Num] = db.quarantineValues(meta)
	}
	v := db.newVersion(s, tables)
	db.holdValuesLocked(v, nil)
	active := db.newMemory(0)
	active.lastSeq = s.FlushedSeq
	db.replaceStateLocked(&state{active: active, version: v})
	db.divideMemory()
}

// removeOrphans removes table files and value files that are not in the version, and what
// was staged for a Replacement.
func (db *DB) removeOrphans(v *manifest.Version) error {
	known := map[string]bool{}
	for _, t := range v.All() {
		known[t.Num.String()+tableSuffix] = true
	}
	for _, f := range v.Values {
		known[f.Num.String()+valueSuffix] = true
	}
	names, err := db.fs.List(db.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if (isNumbered(name, tableSuffix) || isNumbered(name, valueSuffix) || isNumbered(name, stagedSuffix)) && !known[name] {
			if err := db.fs.Remove(path.Join(db.o.Dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func isNumbered(name, suffix string) bool {
	digits, ok := strings.CutSuffix(name, suffix)
	return ok && len(digits) >= 6 && strings.Trim(digits, "0123456789") == ""
}

// openLog replays the log. Without one of its own, the database may still find one
// from an earlier life: what it holds is flushed, and then it is not used any more.
func (db *DB) openLog(s manifest.State) error {
	if db.o.DisableWAL {
		names, err := wal.Names(db.fs, db.o.Dir, logPrefix)
		if err != nil || len(names) == 0 {
			return err
		}
	}
	log, err := wal.Open(db.fs, db.o.log())
	if err != nil {
		return err
	}
	db.log = log
	if err := db.replay(s); err != nil {
		return err
	}
	if !db.o.DisableWAL {
		return nil
	}
	if err := db.flushReplayed(); err != nil {
		return err
	}
	db.log = nil
	return log.Close()
}

// replay inserts what the log holds beyond the tables. The last memtable stays active.
func (db *DB) replay(s manifest.State) error {
	err := db.log.Replay(s.Log, func(at wal.Position, payload []byte) error {
		r, first, last, err := decodeBatch(payload)
		if err == nil && last <= s.FlushedSeq {
			return nil
		}
		if err == nil && first != db.lastSeq+1 {
			err = fmt.Errorf("operations %d to %d follow %d", first, last, db.lastSeq)
		}
		if err != nil {
			return corrupt.New(db.log.FileName(at.Segment), at.Offset, "%v", err)
		}
		db.replayBatch(at.Segment, r)
		return nil
	})
	if err != nil {
		return err
	}
	if m := db.current.Load().active; m.log == 0 {
		if m.log, err = db.log.Rotate(); err != nil {
			return err
		}
	}
	return db.log.RemoveBefore(s.Log)
}

func (db *DB) replayBatch(segment wal.SegmentID, r batchReader) {
	if db.memtableFull() {
		db.switchMemtable(segment)
	}
	m := db.current.Load().active
	if m.log == 0 {
		m.log = segment
	}
	var hashes [insertAhead]uint64
	m.prefetch(r, &hashes)
	db.lastSeq = addAll(m, r, db.lastSeq+1, &hashes)
	m.lastSeq = db.lastSeq
}

// flushReplayed writes what was replayed to tables.
func (db *DB) flushReplayed() error {
	next, err := db.log.Rotate()
	if err != nil {
		return err
	}
	db.switchMemtable(next)
	for m := db.current.Load().oldest(); m != nil; m = db.current.Load().oldest() {
		if err := db.flushMemtable(m); err != nil {
			return err
		}
	}
	return nil
}

// abandon closes what an Open that failed has opened.
func (db *DB) abandon() {
	if db.log != nil {
		_ = db.log.Close()
	}
	if db.manifest != nil {
		_ = db.manifest.Close()
	}
	if s := db.current.Load(); s != nil {
		db.releaseState(s)
		db.clean()
	}
	db.cache.Close()
	db.slabs.Close()
}
