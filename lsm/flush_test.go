package lsm

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// Two memtables are flushed side by side. The newer one is done first, but must wait: its
// tombstones hide what is only in the older one, and what is flushed must be all up to
// some operation, whatever becomes of the older one's first attempt.
func TestFlushesSideBySide(t *testing.T) {
	for name, failure := range map[string]error{"the older is slow": nil, "the older fails at first": vfs.ErrNoSpace} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(e *env.Env) {
				begun, ended := 0, 0 // syncs of tables
				fs := vfs.NewInject(vfs.NewDisk(1), func(op vfs.Op) error {
					if op.Kind != vfs.OpSync || !strings.HasSuffix(op.Name, tableSuffix) {
						return nil
					}
					begun++
					defer func() { ended++ }()
					if begun == 1 {
						e.Sleep(time.Second)
						return failure
					}
					return nil
				})
				db := mustOpenIn(t, e, fs, quietOptions())
				must(errors.Join(set(db, "a", "1"), set(db, "b", "1"), set(db, "c", "1")))
				db.seal()
				e.Sleep(time.Millisecond)
				b := db.NewBatch()
				b.Delete([]byte("a"))
				b.DeleteRange([]byte("b"), []byte("c"))
				must(db.Apply(b))
				db.seal()
				must(set(db, "c", "2"))
				e.Sleep(500 * time.Millisecond)
				check(begun == 2 && ended == 1, "%d syncs of tables begun, %d ended, want the second done and the first under way", begun, ended)
				check(db.FlushedSeq() == 0 && db.Metrics().Flushes == 0, "flushed up to %d before the oldest memtable was", db.FlushedSeq())
				for db.Flush() != nil { // the attempt under way may fail
					e.Sleep(time.Millisecond)
				}
				check(db.FlushedSeq() == db.LastSeq() && db.Metrics().Flushes == 3, "flushed up to %d of %d by %d flushes", db.FlushedSeq(), db.LastSeq(), db.Metrics().Flushes)
				for key, want := range map[string]string{"a": "", "b": "", "c": "2"} {
					got, err := db.Get([]byte(key), nil)
					check(string(got) == want && (err == nil) == (want != ""), "Get(%s) = %q, %v; want %q", key, got, err, want)
				}
				names, err := fs.List("")
				must(err)
				tables := 0
				for _, name := range names {
					if strings.HasSuffix(name, tableSuffix) {
						tables++
					}
				}
				check(tables == 3, "%d tables are left, want 3: %q", tables, names)
				must(db.Close())
			})
		})
	}
}
