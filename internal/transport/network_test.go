package transport

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
)

// A town is a network of nodes n1, n2 … in zones a, b, c, a …, each of which
// keeps what it received.
type town struct {
	w    *env.World
	n    *Network
	ends map[NodeID]*Endpoint
	got  map[NodeID][]string
	at   map[NodeID][]env.Mono
}

func newTown(t testing.TB, seed uint64, nodes int, o NetworkOptions) *town {
	w := env.NewWorld(seed, env.Options{})
	t.Cleanup(w.Close)
	c := &town{w: w, n: NewNetwork(w, o), ends: map[NodeID]*Endpoint{}, got: map[NodeID][]string{}, at: map[NodeID][]env.Mono{}}
	for id := NodeID(1); id <= NodeID(nodes); id++ {
		name := fmt.Sprint("n", id)
		e := w.NewNode(name)
		c.n.Add(id, Site{Name: name, Zone: string(rune('a' + (id-1)%3)), Region: "r"})
		c.start(id, e)
	}
	return c
}

func (c *town) start(id NodeID, e *env.Env) {
	c.ends[id] = c.n.Start(id, e)
	for lane := range Lanes {
		c.ends[id].Handle(lane, func(from NodeID, message []byte) {
			c.got[id] = append(c.got[id], fmt.Sprintf("%d:%s", from, message))
			c.at[id] = append(c.at[id], c.w.Now())
		})
	}
}

// burst sends count numbered messages, a millisecond apart, and waits.
func (c *town) burst(t *testing.T, from, to NodeID, count int) {
	t.Helper()
	for i := range count {
		c.ends[from].Send(to, Call, fmt.Append(nil, i))
		c.wait(t, time.Millisecond)
	}
	c.wait(t, time.Second)
}

func (c *town) wait(t *testing.T, d time.Duration) {
	t.Helper()
	if err := c.w.Run(c.w.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

func TestNetworkLatencyFollowsFromSites(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	n := NewNetwork(w, NetworkOptions{})
	sites := []Site{
		{Host: "h1", Zone: "a", Region: "r"}, {Host: "h1", Zone: "a", Region: "r"}, {Host: "h2", Zone: "a", Region: "r"},
		{Host: "h3", Zone: "b", Region: "r"}, {Host: "h4", Zone: "a", Region: "s"},
	}
	for i, s := range sites {
		s.Name = fmt.Sprint("n", i+1)
		w.NewNode(s.Name)
		n.Add(NodeID(i+1), s)
	}
	for to, want := range map[NodeID]struct {
		class Class
		least time.Duration
		most  time.Duration
	}{
		2: {SameHost, 10 * time.Microsecond, 20 * time.Microsecond},
		3: {SameZone, 50 * time.Microsecond, 200 * time.Microsecond},
		4: {InterZone, 500 * time.Microsecond, 2 * time.Millisecond},
		5: {InterRegion, 20 * time.Millisecond, 150 * time.Millisecond},
	} {
		l := n.Link(1, to)
		if l.Class() != want.class || l.Base() < want.least || l.Base() > want.most {
			t.Errorf("link 1>%d: class %d, %v; want %+v", to, l.Class(), l.Base(), want)
		}
	}
	if got := n.In("r", "a"); !slices.Equal(got, []NodeID{1, 2, 3}) {
		t.Errorf("In(r, a) = %v", got)
	}
}

func TestNetworkDeliversInOrder(t *testing.T) {
	c := newTown(t, 1, 2, NetworkOptions{})
	for i := range 1000 {
		c.ends[1].Send(2, Raft, fmt.Append(nil, i))
	}
	c.wait(t, time.Second)
	for i, got := range c.got[2] {
		if got != fmt.Sprint("1:", i) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	if len(c.got[2]) != 1000 || c.n.Count(Delivered) != 1000 {
		t.Errorf("%d arrived, %d counted; want 1000", len(c.got[2]), c.n.Count(Delivered))
	}
}

// TestNetworkCopies: what the sender does to its bytes afterwards, and what
// receivers of a doubled message do to theirs, stays with them.
func TestNetworkCopies(t *testing.T) {
	c := newTown(t, 1, 2, NetworkOptions{})
	c.n.Apply(Toward([]NodeID{1}, []NodeID{2}), Trouble{Double: 1e6})
	c.ends[2].Handle(Call, func(_ NodeID, message []byte) {
		c.got[2] = append(c.got[2], string(message))
		message[0] = 'X'
	})
	message := []byte("fresh")
	c.ends[1].Send(2, Call, message)
	copy(message, "stale")
	c.wait(t, time.Second)
	if !slices.Equal(c.got[2], []string{"fresh", "fresh"}) {
		t.Errorf("got %q", c.got[2])
	}
}

func TestNetworkTroubles(t *testing.T) {
	const sent = 400
	ways := Toward([]NodeID{1}, []NodeID{2})
	for _, test := range []struct {
		name        string
		trouble     Trouble
		least, most int // delivered
		fate        Fate
	}{
		{"cut", Trouble{Cut: true}, 0, 0, CutOff},
		{"half lost", Trouble{Loss: 5e5}, 150, 250, Lost},
		{"half doubled", Trouble{Double: 5e5}, 550, 650, Doubled},
		{"half corrupted", Trouble{Corrupt: 5e5}, 150, 250, Corrupted},
		{"half overtaken", Trouble{Reorder: 5e5}, sent, sent, Delayed},
		{"lagging", Trouble{Lag: 100 * time.Millisecond}, sent, sent, Delayed},
		{"clogged", Trouble{Clog: 200 * time.Millisecond}, sent, sent, Delayed},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTown(t, 7, 3, NetworkOptions{})
			trouble := c.n.Apply(ways, test.trouble)
			c.burst(t, 1, 2, sent)
			got := len(c.got[2])
			if got < test.least || got > test.most {
				t.Errorf("%d of %d arrived; want %d to %d", got, sent, test.least, test.most)
			}
			if c.n.Link(1, 2).Count(test.fate) == 0 {
				t.Errorf("no message was %v", test.fate)
			}
			ordered := slices.IsSortedFunc(c.got[2], func(a, b string) int { return len(a) - len(b) })
			if ordered == (test.trouble.Reorder > 0) {
				t.Errorf("in order: %v", ordered)
			}
			c.burst(t, 2, 1, 10)
			c.burst(t, 1, 3, 10)
			if len(c.got[1]) != 10 || len(c.got[3]) != 10 {
				t.Errorf("other links: %d and %d of 10 arrived", len(c.got[1]), len(c.got[3]))
			}
			trouble.Heal()
			c.got[2] = nil
			c.burst(t, 1, 2, 10)
			if len(c.got[2]) != 10 {
				t.Errorf("%d of 10 arrive after it is healed", len(c.got[2]))
			}
		})
	}
}

func TestNetworkLagAndClogSayWhen(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	ways := Toward([]NodeID{1}, []NodeID{2})
	lag := c.n.Apply(ways, Trouble{Lag: 300 * time.Millisecond})
	c.ends[1].Send(2, Call, nil)
	c.wait(t, time.Second)
	if at := c.at[2][0]; at < env.Mono(300*time.Millisecond) || at > env.Mono(310*time.Millisecond) {
		t.Errorf("a message that lags 300 ms arrives at %v", at)
	}
	lag.Heal()
	began := c.w.Now()
	c.n.Apply(ways, Trouble{Clog: 700 * time.Millisecond})
	c.wait(t, 100*time.Millisecond)
	c.ends[1].Send(2, Call, nil)
	c.wait(t, 800*time.Millisecond)
	c.ends[1].Send(2, Call, nil)
	c.wait(t, time.Second)
	if at := c.at[2][1].Sub(began); at != 700*time.Millisecond {
		t.Errorf("a message on a link that is clogged for 700 ms arrives after %v", at)
	}
	if at := c.at[2][2].Sub(began); at > 910*time.Millisecond {
		t.Errorf("a message after the clog arrives after %v", at)
	}
}

func TestNetworkBandwidth(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	c.n.Apply(Toward([]NodeID{1}, []NodeID{2}), Trouble{Bandwidth: 1 << 20})
	for range 4 {
		c.ends[1].Send(2, Snapshot, make([]byte, 1<<18))
	}
	c.wait(t, 2*time.Second)
	for i, at := range c.at[2] {
		want := env.Mono(time.Duration(i+1) * 250 * time.Millisecond)
		if at < want || at > want.Add(10*time.Millisecond) {
			t.Errorf("quarter %d of a megabyte arrives at %v at a megabyte per second", i, time.Duration(at))
		}
	}
}

// TestNetworkBandwidthHealed: what was sent while a link was thin does not hold up what
// is sent afterwards.
func TestNetworkBandwidthHealed(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	thin := c.n.Apply(Toward([]NodeID{1}, []NodeID{2}), Trouble{Bandwidth: 1 << 10})
	for range 10 {
		c.ends[1].Send(2, Raft, make([]byte, 1<<13)) // 8 s each
	}
	c.wait(t, 10*time.Second)
	thin.Heal()
	c.ends[1].Send(2, Raft, []byte("after"))
	c.wait(t, time.Second)
	if len(c.got[2]) != 2 || c.got[2][1] != "1:after" {
		t.Errorf("%d messages have arrived, want the first of the thin link and the one after it", len(c.got[2]))
	}
	c.wait(t, 2*time.Minute)
	if len(c.got[2]) != 2 {
		t.Errorf("%d messages have arrived in the end, want 2", len(c.got[2]))
	}
}

// TestNetworkTroublesOverlap: healing one leaves the other.
func TestNetworkTroublesOverlap(t *testing.T) {
	c := newTown(t, 7, 3, NetworkOptions{})
	zone := c.n.Cut(Between(c.n.In("", "a"), c.n.Except(c.n.In("", "a"))))
	alone := c.n.Cut(c.n.Around(1))
	alone.Heal()
	c.burst(t, 1, 2, 5)
	if len(c.got[2]) > 0 {
		t.Error("the link works although its zone is still cut off")
	}
	zone.Heal()
	zone.Heal()
	c.burst(t, 1, 2, 5)
	if len(c.got[2]) != 5 {
		t.Errorf("%d of 5 arrive after all is healed", len(c.got[2]))
	}
}

func TestNetworkShapes(t *testing.T) {
	for _, test := range []struct {
		name string
		ways func(*Network) []Way
		open []Way // of all 12
	}{
		{"isolated", func(n *Network) []Way { return n.Around(1) }, Among([]NodeID{2, 3, 4})},
		{"deaf", func(n *Network) []Way { return n.Into(1) }, append(Toward([]NodeID{1}, []NodeID{2, 3, 4}), Among([]NodeID{2, 3, 4})...)},
		{"mute", func(n *Network) []Way { return n.OutOf(1) }, append(Among([]NodeID{2, 3, 4}), Toward([]NodeID{2, 3, 4}, []NodeID{1})...)},
		{"bridge", func(n *Network) []Way { return n.Bridge(2) }, append(Between([]NodeID{2}, []NodeID{1, 3, 4}), Among([]NodeID{3, 4})...)},
		{"zone", func(n *Network) []Way {
			return Between(n.In("r", "a"), n.Except(n.In("r", "a")))
		}, append(Among([]NodeID{1, 4}), Among([]NodeID{2, 3})...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTown(t, 7, 4, NetworkOptions{})
			c.n.Cut(test.ways(c.n))
			for _, way := range Among(c.n.Nodes()) {
				if open := slices.Contains(test.open, way); c.n.Link(way.From, way.To).Trouble().Cut == open {
					t.Errorf("%v: open should be %v", way, open)
				}
			}
			c.ends[1].Send(1, Call, []byte("self"))
			c.wait(t, time.Second)
			if len(c.got[1]) != 1 {
				t.Error("node 1 does not reach itself")
			}
		})
	}
}

// TestNetworkMuted: what is said of a matter is taken out of messages, and those that say nothing else are lost.
func TestNetworkMuted(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{Without: func(lane Lane, message []byte, matter uint64) []byte {
		if lane != Raft {
			return message
		}
		if rest := bytes.ReplaceAll(message, []byte{byte('0' + matter)}, nil); len(rest) > 0 {
			return rest
		}
		return nil
	}})
	muted := c.n.Apply(c.n.Into(2), Trouble{Muted: 3})
	for _, text := range []string{"3", "1323", "12"} {
		c.ends[1].Send(2, Raft, []byte(text))
		c.ends[1].Send(2, Call, []byte(text+"!"))
		c.ends[2].Send(1, Raft, []byte(text))
	}
	c.wait(t, time.Second)
	slices.Sort(c.got[2])
	if want := []string{"1:12", "1:12", "1:12!", "1:1323!", "1:3!"}; !slices.Equal(c.got[2], want) {
		t.Errorf("got %q, want %q", c.got[2], want)
	}
	if lost := c.n.Link(1, 2).Count(Lost); lost != 1 || len(c.got[1]) != 3 {
		t.Errorf("%d were lost, and %d came the other way; want 1 and 3", lost, len(c.got[1]))
	}
	muted.Heal()
	c.got[2] = nil
	if c.burst(t, 1, 2, 4); len(c.got[2]) != 4 {
		t.Errorf("got %q afterwards", c.got[2])
	}
}

func TestNetworkFlapping(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	flap := c.n.Flap(c.n.Around(1), Trouble{Cut: true}, 50*time.Millisecond, 50*time.Millisecond)
	c.burst(t, 1, 2, 1000)
	if got := len(c.got[2]); got < 350 || got > 650 {
		t.Errorf("%d of 1000 arrive over a link that is cut half of the time", got)
	}
	flap.Heal()
	c.got[2] = nil
	c.burst(t, 1, 2, 100)
	if len(c.got[2]) != 100 {
		t.Errorf("%d of 100 arrive afterwards", len(c.got[2]))
	}
}

// TestNetworkCrash: what is sent to one life never reaches another, and others
// notice that a node went.
func TestNetworkCrash(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	var noticed []string
	c.ends[1].Watch(func(node NodeID, reachable bool) { noticed = append(noticed, fmt.Sprint(node, reachable)) })
	c.n.Apply(Toward([]NodeID{1}, []NodeID{2}), Trouble{Lag: 50 * time.Millisecond})
	old := c.ends[2]
	c.ends[1].Send(2, Raft, []byte("in flight"))
	c.wait(t, 10*time.Millisecond)
	c.w.Crash("n2")
	c.wait(t, 10*time.Millisecond)
	if !c.ends[1].Unreachable(2) {
		t.Error("the crash is not noticed")
	}
	c.ends[1].Send(2, Raft, []byte("while down"))
	c.start(2, c.w.Restart("n2"))
	c.ends[1].Send(2, Raft, []byte("after"))
	old.Handle(Raft, func(NodeID, []byte) { t.Error("the old life receives something") })
	c.wait(t, time.Second)
	if !slices.Equal(c.got[2], []string{"1:after"}) {
		t.Errorf("the second life got %q", c.got[2])
	}
	if !slices.Equal(noticed, []string{"2 false", "2 true"}) || c.ends[1].Unreachable(2) {
		t.Errorf("noticed %q", noticed)
	}
	if c.n.Count(NobodyHome) != 2 {
		t.Errorf("%d found nobody home; want 2", c.n.Count(NobodyHome))
	}
}

func TestNetworkPause(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{})
	c.w.Pause("n2")
	c.burst(t, 1, 2, 3)
	if len(c.got[2]) > 0 {
		t.Error("a paused node receives")
	}
	c.w.Resume("n2")
	if !slices.Equal(c.got[2], []string{"1:0", "1:1", "1:2"}) {
		t.Errorf("after the pause it got %q", c.got[2])
	}
	if l := c.n.Link(1, 2); l.lanes[Call].bytes != 0 {
		t.Errorf("%d bytes are still on their way", l.lanes[Call].bytes)
	}
}

func TestNetworkCutIsNoticed(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{NoticeCut: time.Second})
	var noticed []string
	for id := NodeID(1); id <= 2; id++ {
		c.ends[id].Watch(func(node NodeID, reachable bool) { noticed = append(noticed, fmt.Sprint(node, reachable)) })
	}
	short := c.n.Cut(c.n.Into(2))
	c.wait(t, 900*time.Millisecond)
	short.Heal()
	c.wait(t, 2*time.Second)
	if len(noticed) > 0 {
		t.Errorf("a short cut is noticed: %q", noticed)
	}
	long := c.n.Cut(c.n.Into(2))
	c.wait(t, 1100*time.Millisecond)
	if !c.ends[1].Unreachable(2) || !c.ends[2].Unreachable(1) {
		t.Error("a long cut in one direction is not noticed at both ends")
	}
	long.Heal()
	if c.ends[1].Unreachable(2) || !slices.Equal(noticed, []string{"2 false", "1 false", "2 true", "1 true"}) {
		t.Errorf("noticed %q", noticed)
	}
}

func TestNetworkOverflows(t *testing.T) {
	c := newTown(t, 7, 2, NetworkOptions{LaneBytes: 1000})
	for range 20 {
		c.ends[1].Send(2, Call, make([]byte, 100))
		c.ends[1].Send(2, Raft, make([]byte, 1))
	}
	c.wait(t, time.Second)
	if got := c.n.Count(Overflown); got != 10 {
		t.Errorf("%d of 20 messages overflow a lane that takes 10", got)
	}
	if got := len(c.got[2]); got != 30 {
		t.Errorf("%d arrive; want 10, and 20 of the other lane", got)
	}
}

// TestNetworkReplays: the same seed gives the same trace, another one another.
// A third node and its messages change nothing for the first two.
func TestNetworkReplays(t *testing.T) {
	type outcome struct {
		hash uint64
		at   []env.Mono
	}
	play := func(seed uint64, nodes int) outcome {
		c := newTown(t, seed, nodes, NetworkOptions{})
		c.n.Apply(Among(c.n.Nodes()), Trouble{Loss: 1e5, Double: 1e5, Reorder: 1e5, Corrupt: 1e5})
		for i := range 300 {
			c.ends[1].Send(2, Call, fmt.Append(nil, i))
			if nodes > 2 {
				c.ends[3].Send(2, Raft, fmt.Append(nil, i))
			}
			c.wait(t, time.Millisecond)
		}
		o := outcome{hash: c.w.Hash()}
		for i, m := range c.got[2] {
			if m[0] == '1' {
				o.at = append(o.at, c.at[2][i])
			}
		}
		return o
	}
	first, again, other, more := play(1, 2), play(1, 2), play(2, 2), play(1, 3)
	if first.hash != again.hash {
		t.Error("the same seed gave two traces")
	}
	if first.hash == other.hash {
		t.Error("two seeds gave one trace")
	}
	if !slices.Equal(first.at, more.at) {
		t.Error("a third node changed the luck of the first two")
	}
}

func BenchmarkNetwork(b *testing.B) {
	c := newTown(b, 1, 3, NetworkOptions{})
	got := 0
	for id := range c.ends {
		c.ends[id].Handle(Raft, func(NodeID, []byte) { got++ })
	}
	message := make([]byte, 120)
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		c.ends[NodeID(sent%3+1)].Send(NodeID((sent+1)%3+1), Raft, message)
		if sent++; sent%64 == 0 {
			if err := c.w.Run(c.w.Now().Add(time.Millisecond)); err != nil {
				b.Fatal(err)
			}
		}
	}
	_ = c.w.RunUntilIdle()
	if got != sent {
		b.Fatalf("%d of %d arrived", got, sent)
	}
}
