package lsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/manifest"
)

// VerifyNew reads what is new, and only that; Verify reads everything.
func TestVerifyNewReadsFilesOnce(t *testing.T) {
	disk := vfs.NewDisk(1)
	db := mustOpenDB(t, disk, Options{ValueThreshold: 64, L0Tables: 100})
	flush := func(i int) (added []string) {
		before, err := disk.List("")
		must(err)
		b := db.NewBatch()
		b.Set(fmt.Appendf(nil, "key%d", i), []byte(strings.Repeat("v", 40+40*i)))
		must(errors.Join(db.Apply(b), db.Flush()))
		after, err := disk.List("")
		must(err)
		return slices.DeleteFunc(after, func(name string) bool {
			return slices.Contains(before, name) || !strings.HasSuffix(name, tableSuffix) && !strings.HasSuffix(name, valueSuffix)
		})
	}
	old := append(flush(0), flush(1)...) // a table; a table and a value file
	if err := db.VerifyNew(); err != nil || len(old) != 3 {
		t.Fatalf("VerifyNew = %v of the files %q, want three", err, old)
	}
	for _, name := range old {
		must(disk.FlipBit(name, 8*20))
	}
	if err := db.VerifyNew(); err != nil {
		t.Errorf("VerifyNew = %v, although there is nothing new", err)
	}
	name := flush(2)[0]
	must(disk.FlipBit(name, 8*20))
	err := db.VerifyNew()
	if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), old[0]) {
		t.Errorf("VerifyNew = %v, want damage of %s and of no older file", err, name)
	}
	err = db.Verify()
	for _, name := range old {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Verify = %v, want damage of %s", err, name)
		}
	}
}

// Whichever read of a value file fails, no file is called damaged for it, and all that
// could not be checked is checked the next time.
func TestVerifyValuesThatCannotBeRead(t *testing.T) {
	disk := vfs.NewDisk(1)
	reads, failing := 0, 0 // of value files
	fs := vfs.NewInject(disk, func(op vfs.Op) error {
		if strings.HasSuffix(op.Name, valueSuffix) && (op.Kind == vfs.OpRead || op.Kind == vfs.OpView) {
			if reads++; reads == failing {
				return vfs.ErrIO
			}
		}
		return nil
	})
	db := mustOpenDB(t, fs, Options{ValueThreshold: 64, L0Tables: 1000})
	for n := 1; ; n++ {
		b := db.NewBatch()
		b.Set(fmt.Appendf(nil, "key%d", n), []byte(strings.Repeat("v", 100)))
		must(errors.Join(db.Apply(b), db.Flush()))
		reads, failing = 0, n
		err := db.VerifyNew()
		if reads < n {
			if must(err); n < 3 {
				t.Errorf("VerifyNew reads a value file %d times, want to follow pointers too", reads)
			}
			return
		}
		var damage *corrupt.Error
		if !errors.Is(err, vfs.ErrIO) || errors.As(err, &damage) {
			t.Errorf("read %d fails: VerifyNew = %v, want %v alone", n, err, vfs.ErrIO)
		}
		v, err := db.holdVersion()
		must(err)
		again := map[manifest.FileNum]bool{}
		for _, f := range v.values {
			again[f.meta.Num] = !f.verified.Load()
		}
		for _, f := range v.levels[0] {
			if f.verified.Load() && slices.ContainsFunc(f.meta.Values, func(r manifest.ValueRef) bool { return again[r.File] }) {
				t.Errorf("read %d fails: table %s counts as verified, its values do not", n, f.meta.Num)
			}
		}
		db.releaseVersion(v)
		failing = 0
		must(db.VerifyNew())
	}
}
