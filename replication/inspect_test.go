package replication

import (
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// TestDoubtful: of all bits of a log those that Doubtful names are the ones whose damage nobody notices.
func TestDoubtful(t *testing.T) {
	fs, store := vfs.NewMem(), newMemStore()
	n, err := Open(env.New(), fs, store, Options{NodeID: 1, Dir: "raft", SegmentBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	g, err := n.Start(7, &counter{store, 7}, alone)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := g.Propose(make([]byte, 16)).Await(); err != nil {
			t.Fatal(err)
		}
	}
	crashed := copied(t, fs)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	name, from, to, err := Doubtful(crashed, "raft")
	if err != nil || from <= 0 || to <= from {
		t.Fatal(name, from, to, err)
	}
	for at := int64(0); at < to; at++ {
		fs := copied(t, crashed)
		f, err := fs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[0] ^ 1}, at); err != nil {
			t.Fatal(err)
		}
		f.Close()
		_, err = Remembered(fs, Options{NodeID: 1, Dir: "raft", SegmentBytes: 16 << 10})
		if noticed := err != nil; noticed != (at < from) {
			t.Errorf("byte %d of %d, doubtful from %d on: %v", at, to, from, err)
		}
	}
	if whole, from, to, err := Doubtful(fs, "raft"); err != nil || from != to {
		t.Errorf("of a log that was closed %d to %d of %s is doubtful, %v", from, to, whole, err)
	}
}

// copied returns what is in the log of a node that may run on.
func copied(t *testing.T, fs vfs.FS) vfs.FS {
	t.Helper()
	to := vfs.NewMem()
	names, err := fs.List("raft")
	if err := errors.Join(err, to.MkdirAll("raft")); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		from, err := fs.Open("raft/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size, err := from.Size()
		b := make([]byte, size)
		_, failed := from.ReadAt(b, 0)
		into, err2 := to.Create("raft/" + name)
		if err := errors.Join(err, failed, err2, from.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = into.WriteAt(b, 0)
		if err := errors.Join(err, into.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestInspect(t *testing.T) {
	fs, store := vfs.NewMem(), newMemStore()
	n, err := Open(env.New(), fs, store, Options{NodeID: 1, Dir: "raft"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := n.Start(7, &counter{store, 7}, alone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Propose(make([]byte, 16)).Await(); err != nil {
		t.Fatal(err)
	}
	var live strings.Builder
	if err := Inspect(fs, "raft", "", &live); err != nil || !strings.Contains(live.String(), "entries") {
		t.Errorf("Inspect = %q, %v", live.String(), err)
	}
	if !strings.Contains(live.String(), "of 1 groups") {
		t.Errorf("group not counted: %q", live.String())
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("raft")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	f, err := fs.Open("raft/" + names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff}, 4); err != nil {
		t.Fatal(err)
	}
	var damage *corrupt.Error
	if err := Inspect(fs, "raft", names[0], &strings.Builder{}); !errors.As(err, &damage) || damage.File != "raft/"+names[0] {
		t.Errorf("Inspect of a damaged segment: %v", err)
	}
}
