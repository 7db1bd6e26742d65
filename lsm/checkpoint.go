package lsm

import (
	"fmt"
	"path"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/manifest"
)

// Checkpoint makes a copy of the database, as it is now, in another directory of the
// same file system, which must not exist or be empty. Files are not copied but linked,
// so it is quick and at first takes no space. The copy can be opened like any database.
func (db *DB) Checkpoint(dir string) error {
	if err := db.checkpoint(dir); err != nil {
		return fmt.Errorf("lsm: checkpoint: %w", err)
	}
	return nil
}

func (db *DB) checkpoint(dir string) error {
	if err := db.Flush(); err != nil {
		return err
	}
	v, err := db.holdVersion() // keeps the files
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	if err := makeDir(db.fs, dir); err != nil {
		return err
	}
	if names, err := db.fs.List(dir); err != nil || len(names) > 0 {
		return fmt.Errorf("directory %q: %w", dir, orElse(err, vfs.ErrExist))
	}
	state := manifest.State{Version: v.meta, NextFile: 1, FlushedSeq: v.flushedSeq, Log: 1}
	for _, t := range v.meta.All() {
		state.NextFile = max(state.NextFile, t.Num+1)
		if err := db.fs.Link(db.o.tableName(t.Num), path.Join(dir, t.Num.String()+tableSuffix)); err != nil {
			return err
		}
	}
	for _, f := range v.meta.Values {
		state.NextFile = max(state.NextFile, f.Num+1)
		if err := db.fs.Link(db.o.valueName(f.Num), path.Join(dir, f.Num.String()+valueSuffix)); err != nil {
			return err
		}
	}
	// The names are durable before CURRENT makes them a database.
	if err := db.fs.SyncDir(dir); err != nil {
		return err
	}
	o := db.o.manifest()
	o.Dir = dir
	m, err := manifest.Create(db.fs, o, state)
	if err != nil {
		return err
	}
	return m.Close()
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
