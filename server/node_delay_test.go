package server

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"
)

// TestZoneDelay: a node holds back what it sends to other zones, as long as its options say, and then as long as an
// operator says; the delay to some nodes is theirs until that between zones is set anew.
func TestZoneDelay(t *testing.T) {
	dir := t.TempDir()
	first := startNodes(t, []string{filepath.Join(dir, "1")}, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true, ZoneDelay: 3 * time.Millisecond})[0]
	defer first.Close()
	join := []string{first.ClusterAddr()}
	dirs := []string{filepath.Join(dir, "2"), filepath.Join(dir, "3")}
	for i, n := range startNodes(t, dirs, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Join: join}, NodeOptions{Zone: "b", Listen: "127.0.0.1:0", Join: join}) {
		defer n.Close()
		if d := n.delays.between; d != 0 {
			t.Errorf("node of directory %d has a delay of %v", i, d)
		}
	}
	waitFor(t, "the first knows all", func() bool { return len(first.tables.Members()) == 3 && len(first.net.Peers()) == 2 })
	delays := func() map[string]time.Duration {
		zones := map[uint64]string{}
		for _, m := range first.tables.Members() {
			zones[m.ID] = m.Zone
		}
		found := map[string]time.Duration{}
		for _, p := range first.net.Peers() {
			found[zones[uint64(p.ID)]] = p.Delay
		}
		return found
	}
	waitFor(t, "it holds back what goes to the other zone", func() bool { d := delays(); return d["a"] == 0 && d["b"] == 3*time.Millisecond })
	far := func(delay string, want map[string]time.Duration, nodes ...uint64) {
		t.Helper()
		body, _ := json.Marshal(AdminRequest{Delay: delay, Nodes: nodes})
		out, err := first.admin("Delay", body)
		if err != nil {
			t.Fatalf("delay %s to %v: %v", delay, nodes, err)
		}
		if got := delays(); got["a"] != want["a"] || got["b"] != want["b"] {
			t.Errorf("delay %s to %v: %v", delay, nodes, got)
		}
		var st AdminStatus
		if err := json.Unmarshal(out.AppendJSON(nil), &st); err != nil {
			t.Fatal(err)
		}
		for _, m := range st.Members {
			if shown, _ := time.ParseDuration(m.Delay); m.Node != st.Node && shown != want[m.Zone] {
				t.Errorf("delay %s to %v: node %d is shown with %q", delay, nodes, m.Node, m.Delay)
			}
		}
	}
	var near uint64
	for _, m := range first.tables.Members() {
		if m.Zone == "a" && m.ID != 1 {
			near = m.ID
		}
	}
	far("1.5ms", map[string]time.Duration{"b": 1500 * time.Microsecond})
	far("2ms", map[string]time.Duration{"a": 2 * time.Millisecond, "b": 1500 * time.Microsecond}, near)
	first.delays.apply(first.net, near, false) // as is done again and again
	far("0s", map[string]time.Duration{})
	for _, r := range []AdminRequest{{}, {Delay: "-1ms"}, {Delay: "61s"}, {Delay: "1ms", Nodes: []uint64{9}}} {
		body, _ := json.Marshal(r)
		if _, err := first.admin("Delay", body); err == nil {
			t.Errorf("%+v is done", r)
		}
	}
	if _, err := OpenNode(t.Context(), Options{Memory: true}, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true, ZoneDelay: time.Hour}); err == nil {
		t.Error("a node starts with a delay of an hour")
	}
}
