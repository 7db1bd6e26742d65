package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// A power cut may come at any moment, and of the changes of a directory that was not synced any may be left.
// Few of the cuts of a run come in one of the moments that count, which last for an operation or two; and of those
// few leave just the wrong changes. So at many operations of the engine's disk, most of all before a directory is synced, when most is
// pending, it is looked at what a cut would leave: the manifest that is named must be there, and every file that
// it names, whole. And before the raft log is written again, a node that starts on what would be left must know
// what it has promised to others. Before it is synced, any of what was written since the last sync may be left: the end
// of it without its beginning, too.
type remains struct {
	n     *node
	dice  *rand.Rand
	begun bool // the store has been there
	wrote int  // bytes of the last write of the raft log
}

// One of so many syncs of a directory is looked at, if several changes are pending, and one of so many operations
// of all kinds; and the raft log before one of so many of its writes, if something is not durable: nothing of what has been
// promised may be in that; and before one of so many of its syncs. A look costs as much as reading the manifest, or the log.
const (
	remainsOfSyncs = 20
	remainsOfAll   = 1000
	remainsOfLog   = 16
	remainsOfTorn  = 64
	remainsOfEnds  = 4 // of syncs of the end of a segment, which says of all before it that it is durable

	endBytes = 16 // of that end: a record without content, see docs/formats/wal.md
)

// before looks, or not, before an operation of the node's disk.
func (m *remains) before(op vfs.Op) {
	n := m.n
	if !op.Writes() || n.lied || n.rot != "" || n.dirty || n.broken || n.failing > 0 {
		return
	}
	if strings.HasPrefix(op.Name, logDir) {
		m.beforeLog(op)
		return
	}
	if !strings.HasPrefix(op.Name, storeName) {
		return
	}
	rarity := remainsOfAll
	if op.Kind == vfs.OpSyncDir && n.disk.Pending() > 1 {
		rarity = remainsOfSyncs
	}
	if m.dice.IntN(rarity) > 0 {
		return
	}
	if err := m.look(); err != nil {
		m.fail(Boot, op, fmt.Errorf("a store that cannot be opened: %w", err))
	}
}

func (m *remains) fail(by Checker, op vfs.Op, err error) {
	m.n.run.fail(found(by, fmt.Errorf("sim: a power cut before %s of %s on %s would leave %w", op.Kind, op.Name, m.n.name, err)))
}

// beforeLog is before for the raft log.
func (m *remains) beforeLog(op vfs.Op) {
	rarity := remainsOfLog
	switch {
	case op.Kind == vfs.OpWrite:
		m.wrote = op.Len
	case op.Kind == vfs.OpSync && m.wrote == endBytes:
		rarity = remainsOfEnds
	case op.Kind == vfs.OpSync:
		rarity = remainsOfTorn
	case op.Kind != vfs.OpSyncDir:
		return
	}
	if m.dice.IntN(rarity) == 0 && m.n.disk.Unsynced(logName) && !m.n.run.consensus.forgives(m.n.name) {
		m.lookAtLog(op)
	}
}

// lookAtLog judges what the node would have promised after a power cut.
func (m *remains) lookAtLog(op vfs.Op) {
	n := m.n
	vows := map[replication.GroupID]vow{}
	for id, g := range n.run.consensus.groups { //sim:ok only copies into another map
		if v, vowed := g.vows[n.name]; vowed {
			vows[id] = v
		}
	}
	keep := func() bool { return m.dice.IntN(2) == 0 }
	disk := n.disk.Remains(keep)
	if op.Kind == vfs.OpSync {
		disk = n.disk.TornRemains(keep, 1+m.dice.Uint64()/2)
	}
	have, err := replication.Remembered(disk, n.run.plan.Knobs.replication(n.id))
	if err != nil {
		m.fail(Boot, op, fmt.Errorf("a log that cannot be opened: %w", err))
		return
	}
	for _, id := range slices.Sorted(maps.Keys(vows)) { //sim:ok sorted
		left, isThere := have[id]
		if !isThere && (n.server == nil || n.server.log.Group(id) == nil || n.server.log.Retired(id)) {
			continue // it was removed, or is about to be there
		}
		if err := vows[id].broken(left); err != nil {
			m.fail(Durability, op, fmt.Errorf("a log of which somebody counts on more: group %d: %s %w", id, n.name, err))
			return
		}
	}
}

// look judges one of the states that a power cut may leave.
func (m *remains) look() error {
	disk := m.n.disk.Remains(func() bool { return m.dice.IntN(2) == 0 })
	closed, err := lsm.OpenClosed(disk, storeName)
	switch {
	case errors.Is(err, lsm.ErrNoDatabase) && !m.begun: // nor has anybody been told that there is one
		return nil
	case err != nil:
		return err
	}
	return closed.Complete()
}
