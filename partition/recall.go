package partition

import (
	"errors"
	"fmt"

	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// A Recall is what a replica remembers of the requests that its group has carried out, as of one
// entry of the log. Whatever was carried out must be known: if it is repeated, it would
// be done twice otherwise.
type Recall struct {
	Applied uint64 // 0: the store has nothing of the group
	window  window
}

// RecallOf reads what the state of a group in a store remembers. It may be called by any task; what
// is applied meanwhile does not matter.
func RecallOf(db *lsm.DB, group uint64) (*Recall, error) {
	view := db.NewSnapshot()
	defer view.Close()
	r := &Recall{}
	progress, err := view.Get(appendGroupKey(nil, group, partProgress), nil)
	switch {
	case errors.Is(err, lsm.ErrNotFound):
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("partition %d: progress: %w", group, err)
	}
	var ok bool
	if r.Applied, _, ok = decodeProgress(progress); !ok {
		return nil, fmt.Errorf("partition %d: %w: progress of %d bytes", group, ErrFormat, len(progress))
	}
	return r, r.window.load(view, group)
}

// Knows reports whether a request that is repeated would be answered as it was, or refused, rather than
// be carried out again. The timestamp is that of its command.
func (r *Recall) Knows(id RequestID, ts txn.Timestamp) bool {
	_, seen := r.window.seen(id, ts)
	return seen
}
