package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/statordb/stator/table"
)

// checkStrays waits until the store of each node has nothing of tables that are gone, and of replicas that are elsewhere.
func (r *run) checkStrays() {
	if r.rotten() || r.err != nil {
		return
	}
	limit := 2 * r.limit()
	for _, n := range r.nodes {
		for start := r.clients.Now(); r.err == nil; r.clients.Sleep(100 * time.Millisecond) {
			answered, err := r.inTask(n, "look for strays", func(s *server) error { return s.tables.CheckStrays() })
			if !answered || err == nil || errors.Is(err, table.ErrClosed) {
				break
			}
			if len(r.nodes) == 1 || r.clients.Now().Sub(start) > limit {
				r.fail(found(Tables, fmt.Errorf("sim: %s after all faults were over, on %s: %w", r.clients.Now().Sub(start), n.name, err)))
			}
		}
	}
}
