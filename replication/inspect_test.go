package replication

import (
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

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
