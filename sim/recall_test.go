package sim

import (
	"strings"
	"testing"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// While clients write and partitions split, each replica remembers what was carried out, and refuses what it does not
// have. A request that the checker takes for carried out, and that never was, is not remembered.
func TestReplicasRemember(t *testing.T) {
	for seed := uint64(1); seed < 50; seed++ {
		p := NewPlan(seed, Options{Nodes: 3, Duration: 3e9, Calm: true})
		p.Nemesis = append(p.Nemesis, Fault{At: 5e8, Kind: splitKind, Target: "group 2", For: Duration(splitPatience)})
		r := newRun(p, Options{})
		r.brief = true
		restore, tuned := replaceReader(r.jitter), partition.Tune(p.Knobs.Window, p.Knobs.Shown, p.Knobs.Chunk)
		looked := 0
		err := r.world.Do(r.clients, "story", func() {
			r.story()
			for id, g := range r.consensus.groups {
				if g.parent == 0 || len(g.requests) == 0 {
					continue
				}
				looked++
				g.requests = append(g.requests, carriedOut{1, partition.RequestID{Node: 99, Number: 1}, 1 << 50})
				r.remembered(t, id)
			}
		})
		tuned()
		restore()
		r.world.Close()
		if err != nil || r.err != nil {
			t.Fatal(seed, err, r.err)
		}
		if looked > 0 {
			return
		}
	}
	t.Error("no partition was split that had carried out requests")
}

// remembered demands that replicas of a group complain of the request that never was.
func (r *run) remembered(t *testing.T, id replication.GroupID) {
	for _, n := range r.nodes {
		answered, err := r.inTask(n, "remember", func(s *server) error {
			if applied, err := partition.AppliedIn(s.store, uint64(id)); err != nil || applied == 0 {
				return nil
			}
			err := r.convergence.remembers(s, uint64(id))
			if err == nil || !strings.Contains(err.Error(), "again") {
				t.Errorf("group %d on %s: %v", id, n.name, err)
			}
			return r.convergence.trespass(s, uint64(id))
		})
		if !answered || err != nil {
			t.Errorf("group %d on %s: %t, %v", id, n.name, answered, err)
		}
	}
}
