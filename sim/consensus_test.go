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
