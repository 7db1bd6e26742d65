package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
)

// Weak reads need not show the latest: those that are eventually consistent and, in a
// run that breaks the promise that leases rest on, all others. They are not part of what
// must be linearizable. What is asked of them is that
//
//	it was there    a read shows nothing, or what a write left that was applied
//	                before the read was answered
//	staleness       what it shows was not replaced before Operation.Fresh, which is
//	                set when no fault has been in force for a while
//
// That one read is not older than the one before it is promised to nobody: a replica
// that does not hear from its leader sends readers elsewhere.
func (h *History) isWeak(o *Operation) bool { return o.Kind == Get && (o.Stale || h.leasesBroken) }

// checkWeak judges the weak reads of a key beside all its other operations.
func (h *History) checkWeak(key string, operations, reads []*Operation) error {
	if len(reads) == 0 {
		return nil
	}
	commits := h.commits[key]
	at := map[State][]int{} // where each state is in the versions of the item
	if w, ok := h.replay(key, operations); !ok {
		commits = nil
	} else {
		for i, s := range w.versions {
			at[s] = append(at[s], i)
		}
	}
	for _, o := range reads {
		switch {
		case commits == nil && !isWritten(operations, o):
			return found(Staleness, fmt.Errorf("sim: item %s: %s, but nobody has written that", key, o))
		case commits == nil:
		case !wasThere(commits, at[*o.Saw], o):
			return found(Staleness, fmt.Errorf("sim: item %s: %s, but that was not there before it was answered", key, o))
		case !isFresh(commits, at[*o.Saw], o):
			return found(Staleness, fmt.Errorf("sim: item %s: %s, but that was replaced more than %s before it began, and nothing was wrong",
				key, o, o.Began.Sub(o.Fresh)))
		}
	}
	return nil
}

// wasThere reports whether one of the versions that a read may have seen was made before it returned.
func wasThere(commits []commit, versions []int, o *Operation) bool {
	return len(versions) > 0 && (versions[0] == 0 || commits[versions[0]-1].when < o.Return)
}

// isFresh reports whether one of the versions that a read may have seen was there at its Fresh, or later.
func isFresh(commits []commit, versions []int, o *Operation) bool {
	for _, v := range versions {
		if v >= len(commits) || commits[v].at >= o.Fresh {
			return true
		}
	}
	return false
}

// isWritten reports whether somebody has written the value that a read saw.
func isWritten(operations []*Operation, read *Operation) bool {
	if !read.Saw.Exists {
		return true
	}
	for _, o := range operations {
		if (o.Kind == Put || o.Kind == Add) && o.Value == read.Saw.Value && o.Call < read.Return {
			return true
		}
	}
	return false
}

// maxStale is how old an eventually consistent read may be when all is well, beyond an
// election timeout.
const maxStale = time.Second

// freshSince returns how old what an eventually consistent read shows may be; 0: nobody
// can tell, because of the faults.
func (r *run) freshSince() env.Mono {
	election := 10 * r.plan.Knobs.tick()
	recovery := r.limit()/2 + election
	if c := r.plan.Knobs.Chunk; c > 0 && c < 1000 { // snapshots may take seconds, and whoever is being sent one hears its leader
		recovery = r.catchUpLimit()
	}
	now := r.world.Now()
	if r.active > 0 || now.Sub(r.healed) < recovery {
		return 0
	}
	return max(0, now-env.Mono(maxStale+election))
}
