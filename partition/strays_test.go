package partition

import (
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// What a partition has of all kinds is no stray. What is left when it has been dropped is one, wherever it lies.
func TestCheckStrays(t *testing.T) {
	m := openMember(t, openStore(t, vfs.NewMem()))
	m.apply(t, someLog(t, 1, 40), 40)
	newStage(t, m)
	check := func(what string, has, isClean bool) {
		t.Helper()
		if err := CheckStrays(m.db, func(uint64) bool { return has }); err == nil != isClean {
			t.Errorf("%s: %v", what, err)
		}
	}
	set := func(f func(b *lsm.Batch)) {
		b := m.db.NewBatch()
		if f(b); m.db.Apply(b) != nil {
			t.Fatal("the store is full")
		}
	}
	check("as it is", true, true)
	check("of a group that is elsewhere", false, false)
	spans := groupSpans(m.group, m.Config())
	if err := Drop(m.db, m.group); err != nil {
		t.Fatal(err)
	}
	check("dropped", false, true)
	for _, s := range spans {
		key := append(slices.Clone(s.Lower), 1)
		set(func(b *lsm.Batch) { b.Set(key, []byte{1}) })
		check("a key is left", false, false)
		set(func(b *lsm.Batch) { b.Delete(key) })
	}
	check("that is gone, too", false, true)
}
