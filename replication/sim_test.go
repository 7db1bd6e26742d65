package replication

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// A simulation runs one node with several groups and workers, whose process or
// machine crashes again and again, and checks what is left.
type simulation struct {
	w     *env.World
	disk  *vfs.Disk
	rng   *rand.Rand
	store *memStore
	o     Options
	lives int

	next  uint64            // identity of the next command
	acked map[uint64]answer // commands that were answered
	safe  int               // the log of earlier lives is durable
	sent  map[uint64]GroupID
	fate  map[uint64]error // commands that were refused
}

type answer struct {
	life int
	mode SyncMode
}

const simGroups = 5

func (s *simulation) run(seed uint64) (hash uint64, err error) {
	s.w = env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)})
	defer s.w.Close()
	s.rng = s.w.Stream("test")
	s.disk = vfs.NewDisk(seed)
	s.store = newMemStore()
	s.o = Options{
		NodeID: 1, Workers: 1 + int(seed%3),
		SegmentBytes: 12 << 10, MaxSegments: 3, RoundBytes: 2000, QueueBytes: 4000,
		Interval: 5 * time.Millisecond,
	}
	s.acked, s.sent, s.fate = map[uint64]answer{}, map[uint64]GroupID{}, map[uint64]error{}
	e := s.w.NewNode("n")
	powerCut := false
	s.w.OnCrash("n", func() {
		mode := vfs.KeepAll // kill -9
		if powerCut = s.rng.IntN(2) == 0; powerCut {
			mode = vfs.RandomCrash(s.rng)
		}
		s.disk.Crash(mode)
	})
	for s.lives = 0; s.lives < 5; s.lives++ {
		if s.lives > 0 {
			e = s.w.Restart("n")
		}
		s.o.Sync = SyncMode(s.rng.IntN(3))
		var failure error
		e.Go("life", func() { failure = s.life(e) })
		if s.rng.IntN(2) == 0 {
			s.disk.CrashAt(1+s.rng.IntN(60), func() { s.w.Crash("n") })
		}
		if err := s.w.Run(s.w.Now().Add(time.Duration(2+s.rng.IntN(20)) * time.Millisecond)); err != nil {
			return 0, err
		}
		if failure != nil {
			return 0, failure
		}
		if s.w.Up("n") {
			s.w.Crash("n")
		}
		s.store = s.store.crash()
		if powerCut {
			s.forget()
		}
	}
	e = s.w.Restart("n")
	var failure error
	if err := s.w.Do(e, "last life", func() { failure = s.lastLife(e) }); err != nil {
		return 0, err
	}
	return s.w.Hash(), failure
}

// forget drops what a power cut may take: answers in modes that do not sync
// first, unless the log was opened again since.
func (s *simulation) forget() {
	for id, a := range s.acked {
		if a.mode != SyncAlways && a.life >= s.safe {
			delete(s.acked, id)
		}
	}
}

func (s *simulation) life(e *env.Env) error {
	n, err := Open(e, s.disk.Mount(), s.store, s.o)
	if err != nil {
		return err
	}
	s.safe = s.lives
	e.Go("flusher", func() {
		for {
			e.Sleep(time.Duration(1+e.Rand()%10) * time.Millisecond)
			_ = s.store.Flush()
		}
	})
	for id := GroupID(1); id <= simGroups; id++ {
		e.Go(fmt.Sprint("starter-", id), func() {
			g, err := n.Start(id, &counter{s.store, id}, alone)
			if err != nil {
				panic(fmt.Sprintf("start: %v", err))
			}
			for range 3 {
				e.Go("proposer", func() { s.proposer(e, g) })
			}
		})
	}
	return nil
}

func (s *simulation) proposer(e *env.Env, g *Group) {
	for {
		s.next++
		id := s.next
		s.sent[id] = g.ID()
		cmd := append(add(id, 1), make([]byte, e.Rand()%1000)...)
		_, err := g.Propose(cmd).Await()
		if err != nil {
			s.fate[id] = err
		} else {
			s.acked[id] = answer{s.lives, s.o.Sync}
		}
		if e.Rand()%4 == 0 {
			e.Sleep(time.Duration(e.Rand() % 3e6))
		}
	}
}

func (s *simulation) lastLife(e *env.Env) error {
	n, err := Open(e, s.disk.Mount(), s.store, s.o)
	if err != nil {
		return err
	}
	for id := GroupID(1); id <= simGroups; id++ {
		g, err := n.Start(id, &counter{s.store, id}, alone)
		if err != nil {
			return err
		}
		if err := g.ReadBarrier(); err != nil {
			return err
		}
		if err := s.check(id); err != nil {
			return fmt.Errorf("group %d: %w", id, err)
		}
	}
	return n.Close()
}

// check: every answered command was applied, none twice, none elsewhere, and
// none that was refused.
func (s *simulation) check(group GroupID) error {
	seen := s.store.counter(group).seen
	for id, times := range seen {
		switch {
		case times != 1:
			return fmt.Errorf("command %d applied %d times", id, times)
		case s.sent[id] != group:
			return fmt.Errorf("command %d belongs to group %d", id, s.sent[id])
		case s.fate[id] != nil && !errors.Is(s.fate[id], ErrUnknownOutcome):
			return fmt.Errorf("command %d was refused (%v) and applied", id, s.fate[id])
		}
	}
	for id := range s.acked {
		if s.sent[id] == group && seen[id] == 0 {
			return fmt.Errorf("command %d was answered and is lost", id)
		}
	}
	return nil
}

var seeds = flag.Int("replication.seeds", 100/underRace, "how many seeds TestCrashesInSimulation runs")

func TestCrashesInSimulation(t *testing.T) {
	commands := 0
	for seed := range uint64(*seeds) {
		s := &simulation{}
		hash, err := s.run(seed)
		if err != nil {
			t.Fatalf("seed %d (life %d): %v\nreplay with -run TestCrashesInSimulation -replication.seeds %d", seed, s.lives, err, seed+1)
		}
		commands += len(s.acked)
		if seed%10 == 0 {
			if again, err := new(simulation).run(seed); again != hash {
				t.Fatalf("seed %d: two runs differ (%v)", seed, err)
			}
		}
	}
	if commands < *seeds*50 {
		t.Errorf("only %d commands answered in %d seeds", commands, *seeds)
	}
	t.Logf("%d commands answered", commands)
}
