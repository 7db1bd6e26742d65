package table

import (
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

func sampleNodes() []*node {
	return []*node{
		{id: 1, version: 1, zone: "a", address: "10.0.0.1:7000", state: nodeActive, incarnation: 5},
		{id: 2, version: 3, zone: "b", state: nodeActive},
		{id: 300, version: 1, zone: "c", address: "host", state: nodeJoining, incarnation: 1 << 60},
	}
}

// replicatedRecord has replica sets: some that were changed, one that is empty.
func replicatedRecord() *record {
	r := placedRecord()
	r.slots[0].replicas = replicaSet{nodes: []uint64{3, 1, 2}}
	r.slots[1].replicas = replicaSet{epoch: 7, nodes: []uint64{300}}
	r.places[0].slots[1].replicas = replicaSet{epoch: 1, nodes: []uint64{2, 1}}
	return r
}

func TestNodesGolden(t *testing.T) {
	const file = "testdata/nodes.v1.golden"
	var out strings.Builder
	out.WriteString(hex.Dump(foundCommand(clusterID{1, 2, 15: 16}, sampleNodes())))
	for _, n := range sampleNodes() {
		out.WriteString(hex.Dump(nodeCommand(n)))
	}
	out.WriteString(hex.Dump(replaceCommand(replicatedRecord())))
	if *rewriteGolden {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("commands are encoded as\n%s, want\n%s", out.String(), want)
	}
	dumps := undump(t, file)
	c, err := decodeCatalogCommand(dumps[0])
	if err != nil || c.cluster != (clusterID{1, 2, 15: 16}) || !reflect.DeepEqual(c.nodes, sampleNodes()) {
		t.Errorf("decoded %+v, %v", c, err)
	}
}

func TestNodeRoundTrip(t *testing.T) {
	for _, want := range sampleNodes() {
		b := want.append(nil)
		got, err := decodeNode(b)
		if err != nil || *got != *want {
			t.Errorf("decoded %+v, %v, want %+v", got, err, want)
		}
		for cut := range b {
			if _, err := decodeNode(b[:cut]); !errors.Is(err, errRecord) {
				t.Errorf("decodeNode of %d of %d bytes: error %v, want errRecord", cut, len(b), err)
			}
		}
	}
}

// TestCatalogNodes: a cluster is founded once; numbers ascend and are given once;
// all of it is there after a restart.
func TestCatalogNodes(t *testing.T) {
	w := newWorld(t)
	run := func(command []byte) (*node, error) {
		v, err := w.catalogGroup.Propose(command).Await()
		if err != nil {
			t.Fatal(err)
		}
		return v.(*catalogResult).node, v.(*catalogResult).err
	}
	joiner := &node{zone: "d", address: "x", state: nodeJoining, incarnation: 9}
	if _, err := run(nodeCommand(joiner)); !errors.Is(err, errNotFounded) {
		t.Errorf("a node joins no cluster: %v", err)
	}
	id := clusterID{7}
	if _, err := run(foundCommand(id, sampleNodes())); err != nil {
		t.Fatal(err)
	}
	if _, err := run(foundCommand(clusterID{8}, sampleNodes())); !errors.Is(err, errFounded) {
		t.Errorf("a second cluster: %v", err)
	}
	for range 2 {
		n, err := run(nodeCommand(joiner))
		if err != nil || n.id != 301 || n.state != nodeJoining || n.version != 1 {
			t.Errorf("join = %+v, %v, want node 301", n, err)
		}
	}
	other := &node{zone: "d", state: nodeJoining, incarnation: 10}
	if n, err := run(nodeCommand(other)); err != nil || n.id != 302 {
		t.Errorf("second join = %+v, %v, want node 302", n, err)
	}
	gone := sampleNodes()[1].with(func(n *node) { n.state = nodeGone })
	if n, err := run(nodeCommand(gone)); err != nil || n.state != nodeGone {
		t.Errorf("removal = %+v, %v", n, err)
	}
	for _, stale := range []*node{gone, gone.with(func(n *node) { n.state = nodeActive })} {
		if _, err := run(nodeCommand(stale)); !errors.Is(err, errStale) {
			t.Errorf("change of %+v after it has gone: %v", stale, err)
		}
	}
	w.restart()
	v := w.catalog.snapshot()
	if v.cluster != id || len(v.nodes) != 5 || *v.node(2) != *gone || v.node(301).zone != "d" || w.catalog.nextNode != 303 || v.node(4) != nil {
		t.Errorf("after a restart: %v, next %d", v.nodes, w.catalog.nextNode)
	}
}

// TestReplicaSet: what was there before there were other nodes is on the first one.
func TestReplicaSet(t *testing.T) {
	r := placedRecord()
	if s := &r.slots[0].replicas; !s.has(firstNode) || s.has(2) {
		t.Errorf("replicas that nobody chose are on %v", s.members())
	}
	next := r.withReplicas(func(next *record) {
		for s := range next.allSlots() {
			s.replicas.nodes = []uint64{2, 3}
		}
	})
	for s := range next.allSlots() {
		if s.replicas.has(firstNode) || !s.replicas.has(3) {
			t.Errorf("slot %d is on %v, want 2 and 3", s.first, s.replicas.members())
		}
	}
	for s := range r.allSlots() {
		if len(s.replicas.nodes) > 0 {
			t.Errorf("the record before the change has %v", s.replicas.nodes)
		}
	}
}
