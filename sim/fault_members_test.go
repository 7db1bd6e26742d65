package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// A node whose syncs were lost does not come back from a power cut: it has forgotten what
// it has promised, to entries and to votes, and no algorithm survives that it speaks again
// in its own name. If its process alone ends, nothing is lost, and it does come back.
func TestForgetfulNodeStaysDown(t *testing.T) {
	for mode, back := range map[string]bool{"prefix": false, "keep": true} {
		p := NewPlan(1, Options{Nodes: 3, Calm: true, Duration: 3 * time.Second})
		p.Nemesis = []Fault{
			{At: Duration(time.Second), Kind: "lost syncs", Target: "n2", For: Duration(time.Second)},
			{At: Duration(1200 * time.Millisecond), Kind: "crash", Target: "n2", For: Duration(100 * time.Millisecond), Mode: mode},
		}
		var trace strings.Builder
		r := RunPlan(p, Options{Trace: &trace})
		if r.Err != nil {
			t.Errorf("%s: %v", mode, r.Err)
		}
		if r.Faults["lost syncs"] != 1 || r.Faults["crash"] != 1 {
			t.Errorf("%s: faults: %v", mode, r.Faults)
		}
		if strings.Contains(trace.String(), "\trestart n2\n") != back {
			t.Errorf("%s: restarted is %v, want %v", mode, !back, back)
		}
		if !strings.Contains(trace.String(), "start n4/boot") {
			t.Errorf("%s: no other node joins in its place", mode)
		}
	}
}

// While the disk of a node fails, its replicas may be given up, and groups have two voters: so
// no other node is lost for good meanwhile. And the other way round.
func TestFailingDiskSparesOtherNodes(t *testing.T) {
	second := func(s float64) Duration { return Duration(s * float64(time.Second)) }
	disk := Fault{Kind: "failing read", Target: "n2", For: second(1), N: 1 << 20}
	loss := Fault{Kind: "replace", Target: "n3"}
	for _, c := range []struct {
		disk, loss float64 // when they begin
		spared     int     // which of the two comes to nothing
		why        string
	}{
		{1, 1.5, 1, noBudget},
		{1.1, 1, 0, "another node is lost and not replaced yet"},
	} {
		p := NewPlan(1, Options{Nodes: 3, Calm: true, Duration: 4 * time.Second})
		disk.At, loss.At = second(c.disk), second(c.loss)
		p.Nemesis = []Fault{disk, loss}
		r := RunPlan(p, Options{})
		if r.Err != nil {
			t.Error(r.Err)
		}
		if x := r.Fates[c.spared]; x.Fired || x.Why != c.why {
			t.Errorf("%s while there is a %s: %+v, want %q", p.Nemesis[c.spared].Kind, p.Nemesis[1-c.spared].Kind, x, c.why)
		}
		if c.spared == 0 && r.Faults["replace"] != 1 {
			t.Error("no node was lost")
		}
	}
}

// A group is whole with a voter in each zone that there is, three at most, those that the catalog wants.
func TestLacks(t *testing.T) {
	const all = 9
	r := &run{}
	for i, zone := range []string{"a", "b", "c", "a"} {
		r.nodes = append(r.nodes, &node{id: uint64(i + 1), place: NodePlan{Zone: zone}})
	}
	for _, c := range []struct {
		voters, wanted []uint64
		behind         uint64 // a node without an entry; all = the voters do not know that they are
		want           string
	}{
		{[]uint64{1, 2, 3}, []uint64{2, 3, 1}, 0, ""},
		{[]uint64{2, 3, 4}, []uint64{4, 3, 2}, 0, ""},
		{[]uint64{2, 3}, []uint64{2, 3}, 0, "3 zones"},
		{[]uint64{1, 2, 4}, []uint64{1, 2, 4}, 0, "two of them in zone a"},
		{[]uint64{1, 2, 3}, []uint64{1, 2, 4}, 0, "the catalog wants"},
		{[]uint64{1, 2, 3}, []uint64{1, 2, 3}, 2, "node 2 lacks entries"},
		{[]uint64{1, 2, 3}, []uint64{1, 2, 3}, all, "do not know"},
	} {
		g := &table.GroupState{ID: 7, Replicas: c.wanted}
		g.Status.Members.Voters, g.Status.Known, g.Status.Committed = c.voters, c.behind != all, 5
		for _, id := range c.voters {
			p := replication.Progress{Node: id, Match: 5}
			if id == c.behind {
				p.Match = 4
			}
			g.Status.Progress = append(g.Status.Progress, p)
		}
		got := ""
		if err := r.lacks(g, 3); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("voters %v, wanted %v, behind %d: %q, want %q", c.voters, c.wanted, c.behind, got, c.want)
		}
	}
}
