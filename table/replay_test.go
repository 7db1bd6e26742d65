package table

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// TestReplayMeetsReadError: while a start replays answered writes, each read of a
// table file fails once. Then the start fails, or the table says so; but no write
// is left out, now or at the next start.
func TestReplayMeetsReadError(t *testing.T) {
	refused := 0
	for n := int64(1); ; n++ {
		fs := killedStack(t)
		var calls atomic.Int64
		s, err := openStack(env.New(), vfs.NewInject(fs, func(op vfs.Op) error {
			if op.Kind == vfs.OpView && strings.HasSuffix(op.Name, ".sst") && calls.Add(1) == n {
				return vfs.ErrIO
			}
			return nil
		}))
		if calls.Load() < n {
			if err != nil || refused == 0 {
				t.Errorf("%d reads, %d starts refused: %v", n-1, refused, err)
			}
			return
		}
		if err == nil {
			err = checkReplayed(s)
			if e := s.close(); e != nil {
				t.Errorf("read %d failed: Close: %v", n, e)
			}
		}
		if err != nil {
			refused++
			if !errors.Is(err, vfs.ErrIO) {
				t.Errorf("read %d failed: %v", n, err)
			}
		}
		if s, err = openStack(env.New(), fs); err != nil {
			t.Fatalf("read %d had failed, the next start: %v", n, err)
		}
		if err := checkReplayed(s); err != nil {
			t.Errorf("read %d had failed, after the next start: %v", n, err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// killedStack returns the files of a process that was killed: the first version of
// each item is in a table file, the second in the log only.
func killedStack(t *testing.T) vfs.FS {
	fs := vfs.NewMem()
	s, err := openStack(env.New(), fs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(simple("tab", 1)); err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 2; version++ {
		for i := range 3 {
			if _, err := s.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"%d"}}`, i, version))}); err != nil {
				t.Fatal(err)
			}
		}
		if version == 1 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return fs
}

func checkReplayed(s *stack) error {
	for i := range 3 {
		r, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d"}}`, i)), Consistent: true})
		if err != nil {
			return err
		}
		if got, want := show(r.Item), fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"2"}}`, i); got != want {
			return fmt.Errorf("item is %s, answered was %s", got, want)
		}
	}
	return nil
}

// TestReadErrorStopsWrites: a write that cannot read what it needs may be carried out
// when the log is replayed. So nothing may come behind it before that: what is answered
// must come to the same in a replay.
func TestReadErrorStopsWrites(t *testing.T) {
	fs := killedStack(t)
	bad := false
	s, err := openStack(env.New(), vfs.NewInject(fs, func(op vfs.Op) error {
		if bad && op.Kind == vfs.OpView && strings.HasSuffix(op.Name, ".sst") {
			return vfs.ErrIO
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil { // or the versions would be in memory
		t.Fatal(err)
	}
	put := func(key string) error {
		_, err := s.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"` + key + `"},"v":{"N":"3"}}`), Return: AllOld})
		return err
	}
	bad = true
	if err := put("0"); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Put on a bad disk: %v", err)
	}
	bad = false
	if err := put("1"); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Put behind one whose fate is open: %v, want it refused", err)
	}
	if err := checkReplayed(s); err != nil {
		t.Errorf("reads: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if s, err = openStack(env.New(), fs); err != nil {
		t.Fatal(err)
	}
	if err := put("2"); err != nil {
		t.Errorf("Put after a restart: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
