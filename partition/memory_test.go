package partition

import (
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/txn"
)

// What a partition keeps beside its store is what the store says, whatever kinds of commands were applied; what has
// got lost of it, or was not told to readers, is missed.
func TestCheckMemory(t *testing.T) {
	m := openMember(t, openStore(t, vfs.NewMem()))
	m.Apply(1, entry(t, nil, 1))
	s := newStage(t, m)
	r := newRetrier(t, 1)
	for range 3 {
		m.Apply(m.Applied()+1, [][]byte{r.next().bytes})
	}
	p := s.p
	if err := p.CheckMemory(); err != nil {
		t.Fatal(err)
	}
	var row string
	for row = range p.txns.items { //sim:ok any of them will do
		break
	}
	taken, decided := p.txns.items[row], p.txns.decisions
	for what, change := range map[string]func() (undo func()){
		"counters": func() func() { p.maxDelete++; return func() { p.maxDelete-- } },
		"members":  func() func() { p.members = []byte{1}; return func() { p.members = nil } },
		"sources":  func() func() { p.sources[8] = 1; return func() { delete(p.sources, 8) } },
		"requests": func() func() { p.window.bytes++; return func() { p.window.bytes-- } },
		"transactions": func() func() {
			delete(p.txns.items, row)
			return func() { p.txns.items[row] = taken }
		},
		"checked":   func() func() { p.txns.checked++; return func() { p.txns.checked-- } },
		"decisions": func() func() { p.txns.decisions = map[txn.ID]decision{}; return func() { p.txns.decisions = decided } },
		"readers":   func() func() { p.txns.busy.Store(false); return func() { p.txns.busy.Store(true) } },
		"absent":    func() func() { p.absent.Add(1); return func() { p.absent.Store(uint64(p.maxDelete)) } },
	} { //sim:ok each is undone
		undo := change()
		if err := p.CheckMemory(); err == nil {
			t.Errorf("%s differ, and nobody notices", what)
		} else if what != "checked" && what != "decisions" && what != "absent" && !strings.Contains(err.Error(), what) {
			t.Errorf("%s differ, and it is said that %v", what, err)
		}
		undo()
		if err := p.CheckMemory(); err != nil {
			t.Fatalf("%s are as they were, and %v", what, err)
		}
	}
}
