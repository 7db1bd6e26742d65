package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// With a millisecond between zones, a write takes one round trip, one sync and next
// to nothing more: the leader's sync is over before the first follower's answer is
// there. It is measured in simulated time, in which processors are fast.
func TestWriteTakesOneRoundTripAndOneSync(t *testing.T) {
	const oneWay, disk = time.Millisecond, 400 * time.Microsecond
	var network transport.NetworkOptions
	network.Qualities[transport.InterZone] = transport.Quality{Base: oneWay, MaxBase: oneWay}
	b := newTrioOn(t, 1, replaceJitter(t), 3, 1, network, nil)
	b.settle(t)
	for _, n := range b.nodes {
		n.delay = disk / 2 // of the write, and of its sync
	}
	n := b.leader(1)
	var took []time.Duration
	for identity := range uint64(50) {
		n.do(t, func() {
			began := b.w.Now()
			if _, err := n.groups[0].Propose(add(identity, 1)).Await(); err != nil {
				t.Errorf("propose: %v", err)
			}
			took = append(took, b.w.Now().Sub(began))
			n.e.Sleep(5 * time.Millisecond)
		})
	}
	slices.Sort(took)
	p50, bound := took[len(took)/2], 2*oneWay+disk
	t.Logf("p50 %s, worst %s; a round trip and a sync are %s", p50, took[len(took)-1], bound)
	if p50 > bound+500*time.Microsecond {
		t.Errorf("p50 %s, want at most 0.5 ms more than %s", p50, bound)
	}
}

// What a follower is told of a commit goes along with the next entries, if these come soon, and what it answers to
// that goes along with something, too: a write costs two messages to each follower. The followers of the
// last write apply it all the same.
func TestWordOfACommitGoesAlong(t *testing.T) {
	const tick = 100 * time.Millisecond
	const writes = 50
	for _, c := range []struct {
		pause    time.Duration // between writes
		messages int           // of a write and each follower, at the most
	}{{time.Millisecond, 2}, {2 * tick / 20, 3}} {
		b := newTrioOn(t, 1, replaceJitter(t), 3, 1, transport.NetworkOptions{}, func(_ int, o *Options) { o.Tick = tick })
		b.runUntil(t, 10*tick, "a leader", func() bool { return b.leader(1) != nil })
		n := b.leader(1)
		before, began := b.net.Count(transport.Delivered), b.w.Now()
		for identity := range uint64(writes) {
			b.mustPropose(t, 1, identity)
			b.run(t, c.pause)
		}
		ticks := int(b.w.Now().Sub(began)/tick) + 1
		// A tick is a beat of each node to each other, and a heartbeat of each follower with its answer.
		if sent, most := int(b.net.Count(transport.Delivered)-before), 2*c.messages*writes+ticks*(6+4); sent > most {
			t.Errorf("a write each %s: %d messages for %d of them, want at most %d", c.pause, sent, writes, most)
		}
		b.run(t, tick/20+10*time.Millisecond)
		for _, other := range b.nodes {
			if applied, want := other.groups[0].applied, n.groups[0].applied; applied != want {
				t.Errorf("%s has applied %d entries a little later, the leader %d", other.name(), applied, want)
			}
		}
	}
}

// Word of a commit is not sent beside other letters while the group's own entries, which say the same, keep coming. When these
// end, it leaves.
func TestEntriesOvertakeWords(t *testing.T) {
	const tick = 100 * time.Millisecond
	words, entries := 0, 0
	var network transport.NetworkOptions
	network.Hook = func(e transport.Event) {
		if e.Lane != transport.Raft || e.Fate != transport.Delivered {
			return
		}
		r, err := readBundle(e.Message, uint64(e.From), uint64(e.To))
		for err == nil && len(r.b) > 0 {
			if r.atBeat() {
				_, err = r.nextBeat()
				continue
			}
			var m *message
			if m, err = r.next(); err == nil && m.typ == typeAppend {
				if n := len(m.raft.GetEntries()); n > 0 {
					entries += n
				} else {
					words++
				}
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	b := newTrioOn(t, 1, replaceJitter(t), 3, 2, network, func(_ int, o *Options) { o.Tick = tick })
	b.runUntil(t, 10*tick, "leaders", func() bool { return b.leader(1) != nil && b.leader(2) != nil })
	b.run(t, tick)
	const writes = 50
	words, entries = 0, 0
	for identity := range uint64(writes) {
		b.mustPropose(t, GroupID(1+identity%2), identity)
	}
	if entries < 2*writes || words > writes/2 {
		t.Errorf("%d entries and %d words of commits sent for %d writes, want at most %d words", entries, words, writes, writes/2)
	}
	b.run(t, tick/20+10*time.Millisecond)
	for _, n := range b.nodes {
		for id := range 2 {
			if applied, want := n.groups[id].applied, b.leader(GroupID(id + 1)).groups[id].applied; applied != want {
				t.Errorf("%s has applied %d entries of group %d a little later, its leader %d", n.name(), applied, id+1, want)
			}
		}
	}
}
