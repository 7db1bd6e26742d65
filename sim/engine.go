package sim

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm"
)

// A verifier has the engine verify its new files after each flush and
// compaction: order and bounds of blocks and tables, filters, bitmaps, pointers to
// values. (That levels are disjoint the manifest checks with every edit.)
type verifier struct {
	run *run
	due *env.Queue[struct{}] // nil: the run does not verify
}

func (r *run) newVerifier(e *env.Env) *verifier {
	v := &verifier{run: r}
	if r.plan.Knobs.Verify {
		v.due = env.NewQueue[struct{}](e, 1)
	}
	return v
}

// events tells the verifier when there are new files.
func (v *verifier) events() *lsm.Listener {
	if v.due == nil {
		return nil
	}
	return &lsm.Listener{
		Flushed:   func(lsm.FlushEvent) { v.due.TrySend(struct{}{}) },
		Compacted: func(lsm.CompactionEvent) { v.due.TrySend(struct{}{}) },
	}
}

// close ends the verifier's task.
func (v *verifier) close() {
	if v.due != nil {
		v.due.Close()
	}
}

// start begins to verify a store that is open, in a task that ends with it or by close.
func (v *verifier) start(e *env.Env, db *lsm.DB) {
	if v.due == nil {
		return
	}
	e.Go("verify", func() {
		for {
			if _, open := v.due.Recv(); !open {
				return
			}
			err := db.VerifyNew()
			if errors.Is(err, lsm.ErrClosed) {
				return
			}
			if err != nil && !v.run.excused(err) {
				v.run.fail(found(Engine, fmt.Errorf("sim: the engine verifies its files: %w", err)))
			}
		}
	})
}

// readStores reads one of the stores in all ways, at rest.
func (r *run) readStores() {
	if r.rotten() || r.err != nil {
		return
	}
	n := r.someNode()
	answered, err := r.inTask(n, "read store", func(s *server) error { return s.readStore(nil) })
	if answered && err != nil && !isLocal(err) {
		r.fail(found(Engine, err))
	}
}
