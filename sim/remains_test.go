package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/vfs"
)

// A store that a power cut would leave without a file is found out without one; a whole one is not.
func TestRemains(t *testing.T) {
	p := ledgerPlan(1, 1, 100*time.Millisecond)
	p.Nemesis, p.Transactors, p.Knobs.Memtable = nil, nil, 4<<10
	r := newRun(p, Options{})
	defer r.world.Close()
	if err := r.world.Do(r.clients, "story", r.story); err != nil || r.err != nil {
		t.Fatal(err, r.err)
	}
	n := r.nodes[0]
	look := func() error { n.remains.begun = true; return n.remains.look() }
	if err := look(); err != nil {
		t.Fatalf("of an honest store: %v", err)
	}
	names, err := n.disk.List(storeName)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			if err := n.disk.Remove(storeDir + name); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for i := 0; ; i++ { // the removal may be left, or not
		if err = look(); err != nil || i == 100 {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("without a table: %v (there were %v)", err, names)
	}
	n.disk = vfs.NewDisk(1)
	if err := look(); err == nil {
		t.Error("an empty disk passes for a store")
	}
	if n.remains.begun = false; n.remains.look() != nil {
		t.Error("an empty disk must be one where no store has been yet")
	}
}

// A raft log that a power cut would leave without what its node has promised is found out without one.
func TestRemainsOfLog(t *testing.T) {
	p := ledgerPlan(1, 1, 100*time.Millisecond)
	p.Nemesis, p.Transactors, p.Knobs.Sync = nil, nil, "always"
	r := newRun(p, Options{})
	defer r.world.Close()
	if err := r.world.Do(r.clients, "story", r.story); err != nil || r.err != nil {
		t.Fatal(err, r.err)
	}
	n, op := r.nodes[0], vfs.Op{Kind: vfs.OpWrite, Name: logDir + "x"}
	if n.remains.lookAtLog(op); r.err != nil {
		t.Fatalf("of an honest log: %v", r.err)
	}
	for range 8 {
		if n.remains.lookAtLog(vfs.Op{Kind: vfs.OpSync, Name: logDir + "x"}); r.err != nil {
			t.Fatalf("of an honest log that is torn: %v", r.err)
		}
	}
	group := r.consensus.group(catalogGroup)
	v := group.vows[n.name]
	for _, more := range []vow{{v.term + 100, 0, v.index}, {v.term, v.vote, v.index + 1}} {
		r.err, group.vows[n.name] = nil, more
		if n.remains.lookAtLog(op); CheckerOf(r.err) != Durability {
			t.Errorf("%+v was promised, and %+v kept: %v", more, v, r.err)
		}
	}
}
