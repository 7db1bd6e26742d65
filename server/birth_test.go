package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/table"
)

// A village is nodes that look for their places, and reach each other by a map.
type village map[string]*greeter

func (v village) greet(_ context.Context, addr string, g greeting) (*reply, error) {
	if v[addr] == nil {
		return nil, errors.New("nobody there")
	}
	r := v[addr].reply(g)
	return &r, nil
}

// add adds a node without a place.
func (v village) add(addr, zone, token string, list ...string) *birth {
	self := placed{Zone: zone, Address: addr, Token: token}
	v[addr] = &greeter{self: self, list: list}
	return &birth{self: self, list: list, greet: v.greet, log: func(string) {}}
}

// look has a node greet the others once, and take its place if it finds one.
func (v village) look(t *testing.T, b *birth) (id *identity, waits string) {
	t.Helper()
	id, waits, err := b.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id != nil {
		v[b.self.Address].id = id
	}
	return id, waits
}

func TestFoundersComeToTheSame(t *testing.T) {
	v := village{}
	list := []string{"h1", "h2", "h3"}
	c := v.add("h3", "c", "3333", list...)
	if id, waits := v.look(t, c); id != nil || !strings.Contains(waits, "h1") || !strings.Contains(waits, "h2") {
		t.Fatalf("alone it got %v, and waits for %q", id, waits)
	}
	a, b := v.add("h1", "b", "1111", list...), v.add("h2", "a", "2222", list...)
	first, _ := v.look(t, b)
	second, _ := v.look(t, c) // sees one that has its place, and one that has none
	third, _ := v.look(t, a)
	for i, id := range []*identity{first, second, third} {
		if id == nil || id.Cluster != first.Cluster || fmt.Sprint(id.Founders) != fmt.Sprint(first.Founders) || len(id.Founders) != 3 {
			t.Fatalf("founder %d: %+v; the first: %+v", i, id, first)
		}
	}
	if first.Node != 1 || third.Node != 2 || second.Node != 3 {
		t.Errorf("numbers %d, %d, %d do not follow the zones", first.Node, third.Node, second.Node)
	}
}

// TestFounderWhoForgot: a founder whose directory is new has another token, and must not
// take the old one's number.
func TestFounderWhoForgot(t *testing.T) {
	v := village{}
	list := []string{"h1", "h2", "h3"}
	a, _, _ := v.add("h1", "a", "1111", list...), v.add("h2", "b", "2222", list...), v.add("h3", "c", "3333", list...)
	v.look(t, a)
	again := v.add("h2", "b", "4444", list...)
	if id, waits := v.look(t, again); id != nil || !strings.Contains(waits, "the node is starting") {
		t.Fatalf("got %+v, waits %q", id, waits)
	}
	v["h1"].join = func(p placed) (uint64, error) { return 4, nil }
	v["h1"].know = func() []placed { return []placed{{Node: 1, Zone: "a", Address: "h1"}} }
	// In JSON the token must be one, which those above are not: that is for real nodes.
	again.self.Token = "4444444444444444"
	id, waits := v.look(t, again)
	if id == nil || id.Node != 4 || len(id.Founders) > 0 || len(id.Peers) != 1 || id.Cluster != v["h1"].id.Cluster {
		t.Errorf("got %+v, waits %q", id, waits)
	}
}

func TestNoPlace(t *testing.T) {
	for _, test := range []struct {
		name  string
		build func(v village) *birth
		want  string
	}{
		{"other list", func(v village) *birth {
			v.add("h2", "b", "2", "h2", "h3")
			return v.add("h1", "a", "1", "h1", "h2")
		}, "another --join list"},
		{"not on the list", func(v village) *birth {
			v.add("h2", "b", "2", "h2")
			return v.add("h1", "a", "1", "h2")
		}, "list"},
		{"refused", func(v village) *birth {
			v.add("h2", "b", "2", "h2")
			v["h2"].id = &identity{Cluster: "c", Node: 1}
			v["h2"].join = func(placed) (uint64, error) { return 0, errors.New("no room") }
			b := v.add("h1", "a", "1", "h2")
			b.self.Token = "1111111111111111"
			return b
		}, "no room"},
	} {
		v := village{}
		if id, waits := v.look(t, test.build(v)); id != nil || !strings.Contains(waits, test.want) {
			t.Errorf("%s: got %+v, waits for %q; want %q", test.name, id, waits, test.want)
		}
	}
}

func TestIdentityFile(t *testing.T) {
	fs := vfs.NewMem()
	if id, err := readIdentity(fs); id != nil || err != nil {
		t.Fatalf("without a file: %v, %v", id, err)
	}
	want := &identity{Format: 1, Token: "00000000000000ff", Cluster: strings.Repeat("ab", 16), Node: 2,
		Founders: []placed{{1, "a", "h1:7", "0000000000000001"}, {2, "b", "h2:7", "00000000000000ff"}}, Peers: []placed{{Node: 9, Zone: "c", Address: "h9:7"}}}
	for range 2 {
		if err := want.write(fs); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readIdentity(fs)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// TestIdentityFileOfVersion1 reads one that was written once.
func TestIdentityFileOfVersion1(t *testing.T) {
	text, err := os.ReadFile("testdata/NODE-v1")
	if err != nil {
		t.Fatal(err)
	}
	id, err := parseIdentity(text)
	if err != nil || id.Node != 2 || id.Token != "9d3c7be0a4f1526f" || len(id.Founders) != 3 || id.Founders[2].Address != "10.0.0.3:7000" {
		t.Errorf("got %+v, %v", id, err)
	}
}

func FuzzIdentity(f *testing.F) {
	text, err := os.ReadFile("testdata/NODE-v1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":1,"token":"0000000000000001"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := parseIdentity(text)
		if err != nil {
			return
		}
		fs := vfs.NewMem()
		if err := id.write(fs); err != nil {
			t.Fatal(err)
		}
		if again, err := readIdentity(fs); err != nil || again.Node != id.Node || again.Token != id.Token {
			t.Errorf("%s: %+v, %v", text, again, err)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(`{"zone":"a","address":"h:1","token":"0000000000000001","list":["h:1"],"join":true}`))
	g := &greeter{id: &identity{Cluster: "c", Node: 1}, join: func(placed) (uint64, error) { return 2, nil }, know: func() []placed { return nil }}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(g.answer(b), []byte("{")) {
			t.Errorf("%s: %s", b, g.answer(b))
		}
	})
}

// startNodes opens real nodes at the same time, over loopback.
func startNodes(t *testing.T, dirs []string, options ...NodeOptions) []*Node {
	t.Helper()
	nodes := make([]*Node, len(options))
	var wg sync.WaitGroup
	for i, o := range options {
		o.Tick = 10 * time.Millisecond
		wg.Go(func() {
			var err error
			if nodes[i], err = OpenNode(t.Context(), Options{Dir: dirs[i], Sync: SyncNever, Admin: true}, o); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// TestRealNodes: one founds a cluster, another joins it and keeps its number, is found at
// another address, and a directory does not serve another cluster or as another node.
func TestRealNodes(t *testing.T) {
	dir := t.TempDir()
	dirs := []string{filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "3")}
	first := startNodes(t, dirs, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true})[0]
	defer func() { first.Close() }()
	join := []string{first.ClusterAddr()}
	second := startNodes(t, dirs[1:], NodeOptions{Zone: "b", Listen: "127.0.0.1:0", Join: join})[0]
	if n, c := second.Place(); n != 2 || c != first.identity.Cluster {
		t.Errorf("the one that joins is node %d of %s", n, c)
	}
	waitFor(t, "both know both", func() bool { return len(first.tables.Members()) == 2 && len(second.tables.Members()) == 2 })
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenNode(t.Context(), Options{Dir: dirs[1]}, NodeOptions{Zone: "b", Listen: "127.0.0.1:0", Join: join, Node: 7}); !errors.Is(err, ErrIdentity) {
		t.Errorf("as node 7: %v", err)
	}
	if _, err := OpenNode(t.Context(), Options{Dir: dirs[1]}, NodeOptions{Zone: "c", Listen: "127.0.0.1:0", Join: join}); !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), "zone b") {
		t.Errorf("in another zone: %v", err)
	}
	second = startNodes(t, dirs[1:], NodeOptions{Zone: "b", Listen: "127.0.0.1:0", Join: join, Node: 2})[0]
	defer second.Close()
	waitFor(t, "the new address is known", func() bool {
		m := first.tables.Members()
		return len(m) == 2 && m[1].Address == second.ClusterAddr() && !first.net.Unreachable(2)
	})
	other := startNodes(t, dirs[2:], NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true})[0]
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := OpenNode(t.Context(), Options{Dir: dirs[2]}, NodeOptions{Zone: "c", Listen: "127.0.0.1:0", Join: join}); !errors.Is(err, ErrIdentity) {
		t.Errorf("with a directory of another cluster: %v", err)
	}
	if _, err := Open(Options{Dir: dirs[2]}); !errors.Is(err, ErrIdentity) {
		t.Errorf("a node's directory opened alone: %v", err)
	}
}

// TestRemovedNodeDoesNotReturn: one that knows that it was removed says so, instead of waiting for the others in each request.
func TestRemovedNodeDoesNotReturn(t *testing.T) {
	n := &Node{identity: &identity{Node: 3}}
	self := table.Member{ID: 3, Zone: "c", State: "gone"}
	if err := n.mayReturn("c", self); !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), "removed") {
		t.Errorf("after it was removed: %v", err)
	}
	for _, state := range []string{"joining", "active", "draining", "lost"} {
		if self.State = state; n.mayReturn("c", self) != nil {
			t.Errorf("%s: it may not return", state)
		}
	}
	if err := n.mayReturn("b", self); !errors.Is(err, ErrIdentity) {
		t.Errorf("in another zone: %v", err)
	}
}

// TestNodeRemovedWhileDown: the others tell it when it comes back, whether or not it is told whom to join.
func TestNodeRemovedWhileDown(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	first := startNodes(t, dirs[:1], NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Init: true})[0]
	join := []string{first.ClusterAddr()}
	second := startNodes(t, dirs[1:], NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Join: join})[0]
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(AdminRequest{Node: 2, Force: true})
	if _, err := first.admin("Remove", body); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{join, nil} {
		n, err := OpenNode(t.Context(), Options{Dir: dirs[1]}, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Join: list})
		if !errors.Is(err, ErrIdentity) || !strings.Contains(err.Error(), "removed") {
			t.Errorf("told to join %q: %v", list, err)
		}
		if err == nil {
			_ = n.Close()
		}
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestLoneDatabaseDoesNotJoin: its tables are not the cluster's.
func TestLoneDatabaseDoesNotJoin(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenNode(t.Context(), Options{Dir: dir}, NodeOptions{Zone: "a", Listen: "127.0.0.1:0", Join: []string{"127.0.0.1:1"}}); !errors.Is(err, ErrIdentity) {
		t.Errorf("OpenNode: %v", err)
	}
}

func TestAdminIsNotThereUnlessEnabled(t *testing.T) {
	for _, test := range []struct {
		enabled        bool
		header, origin string
		path, body     string
		status         int
	}{
		{false, "1", "", "Nodes", "{}", 404},
		{true, "", "", "Nodes", "{}", 403},
		{true, "1", "http://example.org", "Nodes", "{}", 403},
		{true, "1", "", "Nodes", "{}", 200},
		{true, "1", "", "Groups", "{}", 200},
		{true, "1", "", "Nodes", "{", 400},
		{true, "1", "", "Kill", "{}", 400},
		{true, "1", "", "Nodes?node=x", "{}", 400},
	} {
		s, err := OpenOn(env.New(), vfs.NewMem(), Options{Memory: true, Admin: test.enabled})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", adminPath+test.path, strings.NewReader(test.body))
		if test.header != "" {
			r.Header.Set(adminHeader, test.header)
		}
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%+v: status %d, %s", test, w.Code, w.Body)
		}
		s.Close()
	}
}
