package lsm

import (
	"errors"
	"fmt"
)

// Verify reads every table and checks all of it while the database is in use. The
// error joins what was found: a *corrupt.Error for each damaged table.
func (db *DB) Verify() error {
	v, err := db.holdVersion()
	if err != nil {
		return err
	}
	defer db.releaseVersion(v)
	var found []error
	for _, tables := range v.levels {
		for _, t := range tables {
			if err := t.verify(); err != nil {
				found = append(found, err)
			}
		}
	}
	return errors.Join(found...)
}

func (t *table) verify() error {
	if t.reader == nil {
		return t.unreadable()
	}
	if err := t.reader.Verify(); err != nil {
		return fmt.Errorf("lsm: table %s: %w", t.meta.Num, err)
	}
	return nil
}
