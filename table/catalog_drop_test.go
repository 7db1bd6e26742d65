package table

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/partition"
)

// TestDropWhileReadsFail: a node that is alone drops the rows of a table also if its disk cannot be read just then. It would never do
// it later: no table has them any more.
func TestDropWhileReadsFail(t *testing.T) {
	e, isSick := env.New(), false
	fs := vfs.NewInject(vfs.NewMem(), func(op vfs.Op) error {
		if isSick && (op.Kind == vfs.OpRead || op.Kind == vfs.OpView) {
			return fmt.Errorf("%s: %w", op.Name, vfs.ErrIO)
		}
		return nil
	})
	db, err := lsm.Open(e, fs, partition.StoreOptions(lsm.Options{DisableWAL: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := openCatalog(db)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(command []byte) *record {
		r := c.Apply(c.applied+1, [][]byte{command})[0].(*catalogResult)
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.record
	}
	r := apply(createCommand(sampleRecords()[1]))
	r = apply(replaceCommand(r.with(func(r *record) { r.status = recordDeleting })))
	row, _ := partition.TableSpan(r.id)
	state, _ := partition.GroupSpan(r.slots[0].group)
	b := db.NewBatch()
	for _, key := range [][]byte{append(row, 1), append(state, 1), replicaKey(r.slots[0].group - 1), replicaKey(r.slots[0].group + 1)} {
		b.Set(key, []byte("x"))
	}
	if err := errors.Join(db.Apply(b), db.Flush()); err != nil {
		t.Fatal(err)
	}
	isSick = true
	apply(dropCommand(r))
	isSick = false
	for _, key := range [][]byte{append(row, 1), append(state, 1)} {
		if v, err := db.Get(key, nil); !errors.Is(err, lsm.ErrNotFound) {
			t.Errorf("%x is still there: %q, %v", key, v, err)
		}
	}
}
