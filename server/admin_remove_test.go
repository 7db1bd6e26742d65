package server

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdminRemove: an operator who asks a node of the cluster to remove a voter is told to drain it first; by force
// it is done.
func TestAdminRemove(t *testing.T) {
	dir := t.TempDir()
	first := startNodes(t, []string{filepath.Join(dir, "1")}, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true})[0]
	defer first.Close()
	second := startNodes(t, []string{filepath.Join(dir, "2")}, NodeOptions{Zone: "b", Listen: "127.0.0.1:0", Join: []string{first.ClusterAddr()}})[0]
	defer second.Close()
	state := func(n *Node) string {
		for _, m := range n.tables.Members() {
			if m.ID == 2 {
				return m.State
			}
		}
		return ""
	}
	votes := func() bool {
		for _, g := range first.tables.Groups() {
			for _, p := range g.Status.Progress {
				if g.Table == "" && p.Node == 2 && !p.Learner {
					return true
				}
			}
		}
		return false
	}
	waitFor(t, "the second votes about tables", func() bool { return state(second) == "active" && votes() })
	remove := func(n *Node, force bool) error {
		body, _ := json.Marshal(AdminRequest{Node: 2, Force: force})
		_, err := n.admin("Remove", body)
		return err
	}
	for _, n := range []*Node{first, second} { // one of them is in charge
		err := remove(n, false)
		text := ""
		if err != nil {
			out, _ := appendError(nil, translate(err))
			text = string(out)
		}
		if !strings.Contains(text, "drain it first") || state(first) != "active" {
			t.Errorf("without force: %v, node 2 is %s", err, state(first))
		}
	}
	if err := remove(first, true); err != nil || state(first) != "gone" {
		t.Errorf("by force: %v, node 2 is %s", err, state(first))
	}
}
