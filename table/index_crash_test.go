package table

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

var indexSeeds = flag.Int("table.index-seeds", 5, "how many seeds TestIndexCrashes runs")

// An indexRun runs a node that crashes again and again while tasks write to a
// table with indexes, and one creates and deletes global indexes. In the end, and
// after some of the starts, each index must hold what follows from the items.
type indexRun struct {
	w    *env.World
	disk *vfs.Disk
	rng  *rand.Rand
	def  Definition

	written, checked, built int
}

// TestIndexCrashes: whatever is lost between the write of an item and the upkeep
// of its indexes, the indexes come out right, and a seed runs twice the same.
func TestIndexCrashes(t *testing.T) {
	written, checked, built := 0, 0, 0
	marks := map[env.Mark]bool{}
	for seed := range uint64(*indexSeeds) {
		r := &indexRun{}
		hash, err := r.run(seed, marks)
		if err != nil {
			t.Fatalf("seed %d: %v\nreplay with -run TestIndexCrashes -table.index-seeds %d", seed, err, seed+1)
		}
		written, checked, built = written+r.written, checked+r.checked, built+r.built
		if seed%6 == 0 {
			if again, err := new(indexRun).run(seed, marks); again != hash || err != nil {
				t.Fatalf("seed %d: two runs differ (%v)", seed, err)
			}
		}
	}
	t.Logf("%d writes, %d checks, %d indexes begun or dropped, marks %v", written, checked, built, marks)
	if written < 20**indexSeeds || checked < *indexSeeds || built < *indexSeeds {
		t.Errorf("only %d writes, %d checks and %d changes of indexes in %d seeds", written, checked, built, *indexSeeds)
	}
}

func (r *indexRun) run(seed uint64, marks map[env.Mark]bool) (hash uint64, err error) {
	r.w = env.NewWorld(seed, env.Options{Policy: env.Policy(seed % 3)})
	defer r.w.Close()
	r.rng, r.disk = r.w.Stream("test"), vfs.NewDisk(seed)
	r.def = indexedAll("tab", 1+r.rng.IntN(3))
	err = lives{w: r.w, disk: r.disk, rng: r.rng, count: 5, from: 5, more: 40, calls: 200}.run(r.life, r.lastLife)
	for m := range r.w.Marks() {
		marks[m] = true
	}
	return r.w.Hash(), err
}

// life opens the node and writes until the crash.
func (r *indexRun) life(e *env.Env) error {
	s, err := r.open(e)
	if err != nil {
		return err
	}
	if r.rng.IntN(2) == 0 {
		if err := r.check(s); err != nil {
			return err
		}
	}
	for i := range 3 {
		d := &indexDriver{s: s.Service, rng: r.w.Stream(fmt.Sprint("writer", i)), def: r.def}
		e.Go("writer", func() {
			for {
				if d.write() != nil {
					return // the node is going down
				}
				r.written++
				e.Sleep(time.Duration(d.rng.IntN(3000)) * time.Microsecond)
			}
		})
	}
	rng := r.w.Stream("control")
	e.Go("control", func() {
		for {
			e.Sleep(time.Duration(rng.IntN(8)) * time.Millisecond)
			_, err := s.Update(r.change(rng))
			var inUse *InUseError
			if err == nil {
				r.built++
			} else if !errors.As(err, &inUse) && !errors.As(err, new(*NotFoundError)) && !errors.As(err, new(*ValidationError)) {
				return // the node is going down
			}
		}
	})
	return nil
}

// change draws the creation or deletion of one of three global indexes, which may
// be there or not.
func (r *indexRun) change(rng *rand.Rand) UpdateTableRequest {
	x := onlineIndexes[rng.IntN(len(onlineIndexes))]
	if rng.IntN(3) == 0 {
		return UpdateTableRequest{Table: r.def.Name, DeleteIndexes: []string{x.Name}}
	}
	return UpdateTableRequest{Table: r.def.Name, CreateIndexes: []IndexDefinition{x}, Attributes: r.def.Attributes}
}

var onlineIndexes = []IndexDefinition{
	{Name: "onlineNumber", Keys: keys("n"), Projection: all()},
	{Name: "onlineText", Keys: keys("a", "s"), Projection: &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"w"}}},
	{Name: "multi", Keys: []KeyElement{{"a", Hash}, {"p", Hash}, {"b", Range}, {"n", Range}}, Projection: &Projection{Type: "KEYS_ONLY"}},
}

func (r *indexRun) lastLife(e *env.Env) error {
	s, err := r.open(e)
	if err != nil {
		return err
	}
	if err := r.check(s); err != nil {
		return err
	}
	d := &indexDriver{s: s.Service, rng: r.rng, def: r.def}
	for range 20 {
		if err := d.write(); err != nil {
			return err
		}
	}
	if err := r.check(s); err != nil {
		return err
	}
	return s.close()
}

func (r *indexRun) open(e *env.Env) (*stack, error) {
	s, err := openStack(e, r.disk.Mount())
	if err != nil {
		return nil, err
	}
	if s.record(r.def.Name) == nil {
		if _, err := s.Create(r.def); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// check waits for the indexes, which nobody writes to, and compares them.
func (r *indexRun) check(s *stack) error {
	if err := awaitBuilt(s.Service, r.def.Name); err != nil {
		return err
	}
	if err := awaitIndexes(s.Service, r.def.Name); err != nil {
		return err
	}
	r.checked++
	t, err := s.lookup(r.def.Name)
	if err != nil {
		return err
	}
	for _, p := range t.partitions {
		if p.upkeep.lag() != 0 {
			return fmt.Errorf("partition %d: %d bytes of changes seem to wait, but the indexes have all", p.id, p.upkeep.lag())
		}
	}
	now, err := s.Describe(r.def.Name)
	if err != nil {
		return err
	}
	d := indexDriver{def: now.Definition}
	for _, x := range d.allIndexes() {
		if err := checkIndex(s.Service, &d.def, x, r.rng); err != nil {
			return err
		}
	}
	return nil
}
