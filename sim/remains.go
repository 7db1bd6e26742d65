package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
)

// A power cut may come at any moment, and of the changes of a directory that was not synced any may be left.
// Few of the cuts of a run come in one of the moments that count, which last for an operation or two; and of those
// few leave just the wrong changes. So at many operations of the engine's disk, most of all before a directory is synced, when most is
// pending, it is looked at what a cut would leave: the manifest that is named must be there, and every file that
// it names, whole.
type remains struct {
	n     *node
	dice  *rand.Rand
	begun bool // the store has been there
}

// One of so many syncs of a directory is looked at, if several changes are pending, and one of so many operations
// of all kinds. A look costs as much as reading the manifest.
const (
	remainsOfSyncs = 20
	remainsOfAll   = 1000
)

// before looks, or not, before an operation of the node's disk.
func (m *remains) before(op vfs.Op) {
	n := m.n
	if !op.Writes() || !strings.HasPrefix(op.Name, storeName) || n.lied || n.rot != "" || n.dirty || n.broken || n.failing > 0 {
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
		n.run.fail(found(Boot, fmt.Errorf("sim: a power cut before %s of %s on %s would leave a store that cannot be opened: %w", op.Kind, op.Name, n.name, err)))
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
