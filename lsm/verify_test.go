package lsm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
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
