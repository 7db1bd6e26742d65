package sim

import (
	"errors"
	"testing"

	"go.etcd.io/raft/v3"

	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/replication"
)

// log is a node's log: the terms of its entries, from index 1 on.
type log []uint64

func (l log) termAt(index uint64) (uint64, error) {
	if index > uint64(len(l)) {
		return 0, raft.ErrUnavailable
	}
	return l[index-1], nil
}

func done(bytes int) any { return &partition.Result{NewBytes: bytes} }

func TestConsensus(t *testing.T) {
	type world struct{ a, b replication.Observer }
	commands := [][]byte{{1}, {2}}
	for name, tt := range map[string]struct {
		want Checker
		do   func(w world)
	}{
		"one leader after the other": {"", func(w world) {
			w.a.Led(1, 1, log{}.termAt)
			w.b.Led(1, 2, log{}.termAt)
			w.a.Led(2, 2, log{}.termAt) // of another group
			w.a.Led(1, 1, log{}.termAt) // told twice
		}},
		"two leaders of a term": {Election, func(w world) {
			w.a.Led(1, 7, log{}.termAt)
			w.b.Led(1, 7, log{}.termAt)
		}},
		"same entries": {"", func(w world) {
			w.a.Appended(1, 1, 1, []byte("x"))
			w.b.Appended(1, 1, 1, []byte("x"))
			w.b.Appended(1, 1, 2, []byte("y")) // replaces it
		}},
		"two entries of one index and term": {LogMatching, func(w world) {
			w.a.Appended(1, 1, 1, []byte("x"))
			w.b.Appended(1, 1, 1, []byte("y"))
		}},
		"the leader has what was applied": {"", func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), nil, nil)
			w.a.Applied(1, 2, 1, []byte("y"), nil, nil)
			w.b.Led(1, 2, log{1, 1, 2}.termAt)
			w.b.Led(1, 3, func(uint64) (uint64, error) { return 0, raft.ErrCompacted }) // in a snapshot
		}},
		"a leader of an earlier term": {"", func(w world) {
			w.a.Applied(1, 1, 4, []byte("x"), nil, nil)
			w.b.Led(1, 3, log{}.termAt)
		}},
		"the leader lacks an entry": {Completeness, func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), nil, nil)
			w.a.Applied(1, 2, 1, []byte("y"), nil, nil)
			w.b.Led(1, 2, log{1}.termAt)
		}},
		"the leader has another entry": {Completeness, func(w world) {
			w.a.Applied(1, 1, 2, []byte("x"), nil, nil)
			w.b.Led(1, 3, log{1}.termAt)
		}},
		"same results": {"", func(w world) {
			for _, o := range []replication.Observer{w.a, w.b, w.a} {
				o.Applied(1, 1, 1, []byte("x"), commands, []any{done(1), done(2)})
			}
		}},
		"another result": {Replicas, func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), commands, []any{done(1), done(2)})
			w.b.Applied(1, 1, 1, []byte("x"), commands, []any{done(1), done(3)})
		}},
		"another result of the same node, after a crash": {Replicas, func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), commands[:1], []any{done(1)})
			w.a.Applied(1, 1, 1, []byte("x"), commands[:1], []any{done(2)})
		}},
		"a disk of one's own": {"", func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), commands[:1], []any{done(1)})
			w.b.Applied(1, 1, 1, []byte("x"), commands[:1], []any{&partition.Result{Err: replication.ErrNoSpace}})
		}},
		"a disk of one's own, and two results": {Replicas, func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), commands[:1], []any{&partition.Result{Err: replication.ErrNoSpace}})
			w.b.Applied(1, 1, 1, []byte("x"), commands[:1], []any{done(1)})
			w.a.Applied(1, 1, 1, []byte("x"), commands[:1], []any{done(2)})
		}},
		"another entry applied": {Replicas, func(w world) {
			w.a.Applied(1, 1, 1, []byte("x"), nil, nil)
			w.b.Applied(1, 1, 2, []byte("y"), nil, nil)
		}},
		"a group of the same id": {"", func(w world) {
			w.a.Created(1)
			w.a.Applied(1, 1, 1, []byte("x"), nil, nil)
			w.a.Created(1)
			w.a.Applied(1, 1, 1, []byte("y"), nil, nil)
		}},
	} {
		var reported []error
		c := newConsensus(func(err error) { reported = append(reported, err) })
		c.reuses = true
		tt.do(world{c.observer(1, always, exact), c.observer(2, always, exact)})
		if got := CheckerOf(errors.Join(reported...)); got != tt.want {
			t.Errorf("%s: reported %v, want %q", name, reported, tt.want)
		}
	}
}

// TestSplitThatTheFirstCannotRead: what a part must know is what its parent had carried out at the split, also if whoever came to that entry first
// could not read its disk, and if the split is repeated later.
func TestSplitThatTheFirstCannotRead(t *testing.T) {
	c := newConsensus(func(err error) { t.Error(err) })
	put := func(number uint64) [][]byte {
		return [][]byte{(&partition.Command{Kind: partition.Put, Request: partition.RequestID{Node: 1, Number: number}, Item: row("p0/s0", &Operation{Client: 1, Value: "c1.1", Count: 1})}).Encode()}
	}
	split := [][]byte{(&partition.Command{Kind: partition.SplitOff, Split: &partition.Split{At: 1 << 63, Child: 4, Voters: []uint64{1}}}).Encode()}
	entries := [][][]byte{put(1), split, put(2), split}
	apply := func(o replication.Observer, i int, result any) {
		o.Applied(3, uint64(i+1), 1, []byte{byte(i)}, entries[i], []any{result})
	}
	broken, whole := c.observer(1, always, exact), c.observer(2, always, exact)
	for i := range entries {
		apply(broken, i, &partition.Result{Err: replication.ErrNoSpace})
	}
	for i := range entries {
		apply(whole, i, &partition.Result{})
	}
	part := c.group(4)
	if part.parent != 3 || part.birth != 2 || len(part.requests) != 1 || part.requests[0].id.Number != 1 {
		t.Errorf("the part is of group %d, entry %d, and knows %v", part.parent, part.birth, part.requests)
	}
	if all := c.group(3).requests; len(all) != 2 {
		t.Errorf("the parent has carried out %v", all)
	}
}
