package sim

import (
	"errors"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

func always() bool { return true }
func never() bool  { return false }

// exact is a clock that shows the true time.
func exact(m env.Mono) env.Mono { return m }

// slow is a clock of a fault's worst rate, that shows 1 s when 1.01 s have passed.
func slow(m env.Mono) env.Mono { return m + m/100 }

func TestPromises(t *testing.T) {
	type promise = replication.Promise
	type world struct{ a, b, dead, slow replication.Observer }
	three, broken := []uint64{1, 2, 3}, false
	split := [][]byte{(&partition.Command{Kind: partition.SplitOff, Split: &partition.Split{At: 1 << 60, Child: 7, Voters: three}}).Encode()}
	done := []any{&partition.Result{}}
	for name, tt := range map[string]struct {
		want Checker
		do   func(w world)
	}{
		"kept": {"", func(w world) {
			w.a.Promised(1, promise{Term: 2, Vote: 1})
			w.a.Promised(1, promise{Term: 2, Index: 7})
			w.a.Resumed(1, promise{Term: 2, Vote: 1, Index: 7})
			w.a.Resumed(1, promise{Term: 3, Vote: 2, Index: 9}) // later
		}},
		"term forgotten": {Durability, func(w world) {
			w.a.Promised(1, promise{Term: 2, Index: 7})
			w.a.Resumed(1, promise{Term: 1, Index: 7})
		}},
		"vote forgotten": {Durability, func(w world) {
			w.a.Promised(1, promise{Term: 2, Vote: 3})
			w.a.Resumed(1, promise{Term: 2})
		}},
		"entries forgotten": {Durability, func(w world) {
			w.a.Promised(1, promise{Index: 7})
			w.a.Resumed(1, promise{Index: 6})
		}},
		"entries replaced": {"", func(w world) {
			w.a.Promised(1, promise{Index: 7})
			w.a.Appended(1, 5, 2, nil)
			w.a.Resumed(1, promise{Index: 4})
		}},
		"entries replaced, and more forgotten": {Durability, func(w world) {
			w.a.Promised(1, promise{Index: 7})
			w.a.Appended(1, 5, 2, nil)
			w.a.Resumed(1, promise{Index: 3})
		}},
		"log replaced by a snapshot": {"", func(w world) {
			w.a.Promised(1, promise{Term: 1, Index: 7})
			w.a.Promised(1, promise{Empties: true})
			w.a.Resumed(1, promise{Term: 1, Index: 5})
		}},
		"removed, and back": {Durability, func(w world) {
			w.a.Promised(1, promise{Term: 2, Vote: 3, Index: 7})
			w.a.Created(1)
			w.a.Resumed(1, promise{Term: 2}) // without its vote
		}},
		"removed, back, and a vote without what it had": {Completeness, func(w world) {
			w.a.Promised(1, promise{Index: 7})
			w.a.Applied(1, 5, 1, nil, nil, nil)
			w.a.Created(1)
			w.a.Voted(1, 2, 0, 4)
		}},
		"removed, back, and a vote with a snapshot": {"", func(w world) {
			w.a.Promised(1, promise{Index: 7})
			w.a.Applied(1, 5, 1, nil, nil, nil)
			w.a.Created(1)
			w.a.Voted(1, 2, 0, 5)
		}},
		"a promise after the log has failed": {Durability, func(w world) {
			w.a.Promised(1, promise{Index: 7})
			broken = true
			w.a.Promised(1, promise{Index: 8})
			w.a.Appended(1, 9, 1, nil)
			w.a.Promised(1, promise{Index: 9})
		}},
		"a promise of what was written before, and one after a restart": {"", func(w world) {
			broken = true
			w.a.Appended(1, 9, 1, nil)
			w.a.Promised(1, promise{Index: 8})
			broken = false
			w.a.Resumed(1, promise{Index: 8})
			w.a.Appended(1, 9, 1, nil)
			w.a.Promised(1, promise{Index: 9})
		}},
		"one lease after the other": {"", func(w world) {
			w.a.Serves(1, 1, never)
			w.b.Serves(1, 2, always)
			w.b.Serves(1, 2, always)
		}},
		"two leases": {Leases, func(w world) {
			w.a.Serves(1, 1, always)
			w.b.Serves(1, 2, always)
		}},
		"a late renewal": {Leases, func(w world) {
			w.a.Serves(1, 1, never)
			w.b.Serves(1, 2, always)
			w.a.Serves(1, 1, always)
		}},
		"an answer beside an earlier lease": {Leases, func(w world) {
			w.a.Serves(1, 1, always)
			w.b.Serves(1, 2, never)
		}},
		"a late answer": {"", func(w world) {
			w.b.Serves(1, 2, always)
			w.a.Serves(1, 1, never)
		}},
		"the lease of a dead node": {"", func(w world) {
			w.dead.Serves(1, 1, always)
			w.b.Serves(1, 2, always)
		}},
		"a bond that is kept": {"", func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Bound(1, 1, 120)
			w.a.Voted(1, 2, 120, 0)
			w.a.Bound(2, 1, 50)
		}},
		"a bond that is forgotten": {Leases, func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Bound(1, 1, 0)
		}},
		"a bond to a leader that has had no answer": {"", func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Bound(1, 0, 0)
		}},
		"a bond to a leader that has had one": {Leases, func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Promised(1, promise{Term: 1})
			w.a.Bound(1, 0, 0)
		}},
		"a bond to a leader before one that has had no answer": {Leases, func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Promised(1, promise{Term: 1})
			w.a.Bound(1, 2, 120)
			w.a.Bound(1, 1, 99)
		}},
		"a vote that hides a bond": {Leases, func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Voted(1, 2, 99, 0)
		}},
		"a vote that leaves when the candidate leads": {"", func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Bound(1, 2, 120)
			w.a.Voted(1, 2, 100, 0)
		}},
		"a vote that leaves then, and hides a bond": {Leases, func(w world) {
			w.a.Bound(1, 1, 100)
			w.a.Bound(1, 2, 120)
			w.a.Bound(1, 2, 140)
			w.a.Voted(1, 2, 99, 0)
		}},
		"a lease that a majority covers": {"", func(w world) {
			w.b.Bound(1, 1, 100)
			w.a.Leased(1, 1, 100, three, nil)
		}},
		"a lease that nobody else covers": {Leases, func(w world) {
			w.b.Bound(1, 1, 99)
			w.a.Leased(1, 1, 100, three, nil)
		}},
		"a lease that a majority of before does not cover": {Leases, func(w world) {
			w.b.Bound(1, 1, 100)
			w.a.Leased(1, 1, 100, three, []uint64{1, 4, 5})
		}},
		"a lease by a clock that is slower than a voter's": {Leases, func(w world) {
			w.a.Bound(1, 1, 1000)
			w.slow.Leased(1, 1, 1000, []uint64{1, 2, 4}, nil)
		}},
		"a part that serves beside who does not know of the split": {Leases, func(w world) {
			w.a.Serves(2, 1, always)
			w.b.Applied(2, 9, 2, nil, split, done)
			w.b.Serves(7, 1, never)
		}},
		"a lease of who does not know of the split": {Leases, func(w world) {
			w.b.Applied(2, 9, 2, nil, split, done)
			w.b.Serves(7, 1, always)
			w.a.Serves(2, 1, always)
		}},
		"a part that serves beside who knows of the split": {"", func(w world) {
			w.a.Applied(2, 9, 1, nil, split, done)
			w.a.Serves(2, 1, always)
			w.b.Applied(2, 9, 1, nil, split, done)
			w.b.Serves(7, 1, always)
			w.a.Serves(2, 1, always)
		}},
		"a leader beside the lease of one that went down": {Leases, func(w world) {
			w.b.Bound(1, 1, 100)
			w.dead.Leased(1, 1, 100, three, nil)
			w.dead.Serves(1, 1, always)
			w.b.Serves(1, 2, always)
		}},
		"a leader after one that gave its lease up and went down": {"", func(w world) {
			w.b.Bound(1, 1, 100)
			w.dead.Leased(1, 1, 100, three, nil)
			w.dead.Serves(1, 1, always)
			w.dead.Leased(1, 1, 0, nil, nil)
			w.b.Serves(1, 2, always)
		}},
		"voters who know that they are": {"", func(w world) {
			w.a.Counts(1, 5, []uint64{1, 2, 4}, nil)
			w.b.Counts(1, 5, []uint64{1, 2, 4}, nil)
			w.a.Known(1, 6, []uint64{1, 2, 4})
		}},
		"voters of whom only the leader knows": {Durability, func(w world) {
			w.a.Counts(1, 5, []uint64{1, 2, 4}, nil)
			w.b.Counts(1, 4, []uint64{1, 2, 4}, three)
			w.a.Known(1, 6, []uint64{1, 2, 4})
		}},
		"voters of whom one has forgotten that it is": {Durability, func(w world) {
			w.a.Counts(1, 5, []uint64{1, 2, 4}, nil)
			w.b.Counts(1, 5, []uint64{1, 2, 4}, nil)
			w.b.Counts(1, 3, three, nil)
			w.a.Known(1, 6, []uint64{1, 2, 4})
		}},
		"two who begin with other voters": {Replicas, func(w world) {
			w.a.Counts(1, 0, three, nil)
			w.b.Counts(1, 0, []uint64{1, 2, 4}, nil)
		}},
		"one that waits for a snapshot": {"", func(w world) {
			w.a.Counts(1, 0, three, nil)
			w.b.Counts(1, 0, nil, nil)
		}},
		"a replica that nobody needs is dropped": {"", func(w world) {
			w.b.Counts(1, 5, []uint64{2, 3, 4}, nil)
			w.dead.Counts(1, 5, []uint64{2, 3, 4}, nil)
			w.a.Left(1)
		}},
		"a replica is dropped that one of the others needs": {Durability, func(w world) {
			w.a.Counts(1, 4, []uint64{2, 3, 4}, three)
			w.b.Counts(1, 5, []uint64{2, 3, 4}, nil)
			w.dead.Counts(1, 4, []uint64{2, 3, 4}, three)
			w.a.Left(1)
		}},
		"a voter drops its replica": {Durability, func(w world) {
			w.a.Counts(1, 5, three, nil)
			w.b.Counts(1, 5, three, nil)
			w.a.Left(1)
		}},
		"a voter drops its replica of a table that goes": {"", func(w world) {
			w.a.Counts(8, 5, three, nil)
			w.a.Left(8)
		}},
		"a part that is bound as its parent": {"", func(w world) {
			w.a.Bound(2, 1, 100)
			w.b.Applied(2, 9, 1, nil, split, done)
			w.a.Bound(7, 0, 100)
		}},
		"a part that is not bound as its parent": {Leases, func(w world) {
			w.a.Bound(2, 1, 100)
			w.b.Applied(2, 9, 1, nil, split, done)
			w.a.Bound(7, 0, 99)
		}},
		"a replica that comes to a part that has had a leader": {"", func(w world) {
			w.a.Bound(2, 1, 100)
			w.b.Applied(2, 9, 1, nil, split, done)
			w.b.Led(7, 1, func(uint64) (uint64, error) { return 0, nil })
			w.a.Bound(7, 1, 0)
		}},
		"leases of two groups": {"", func(w world) {
			w.a.Serves(1, 1, always)
			w.b.Serves(2, 2, always)
		}},
	} {
		var reported []error
		broken = false
		c := newConsensus(func(err error) { reported = append(reported, err) })
		c.broken = func(uint64) bool { return broken }
		c.wanted = func(group uint64) bool { return group != 8 }
		tt.do(world{c.observer(1, always, exact), c.observer(2, always, exact), c.observer(3, never, exact), c.observer(2, always, slow)})
		if got := CheckerOf(errors.Join(reported...)); got != tt.want {
			t.Errorf("%s: reported %v, want %q", name, reported, tt.want)
		}
	}
}
