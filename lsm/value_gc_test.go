package lsm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// However often values are overwritten, value files have no more garbage than is allowed,
// once all is merged; and what is moved for that is in proportion.
func TestGarbageOfValuesIsBounded(t *testing.T) {
	for _, amplification := range []float64{1.1, 1.5, 3} {
		inWorld(t, 1, func(e *env.Env) {
			o := faultOptions(false)
			o.MemtableBytes, o.ValueThreshold, o.ValueFileBytes, o.SpaceAmplification = 32<<10, 50, 16<<10, amplification
			tr := &tester{e: e, disk: vfs.NewDisk(1), rng: rand.New(rand.NewPCG(1, 1)), o: o, model: newModel()}
			tr.open()
			for round := range 20 {
				for range 100 {
					tr.put(fmt.Sprintf("%03d", tr.rng.IntN(300)), strings.Repeat(fmt.Sprint(round), 300+tr.rng.IntN(600)))
				}
				tr.must(tr.db.Compact(nil, nil))
				tr.awaitCollection()
				v := tr.db.Metrics().Values
				if records := v.Bytes - 64*uint64(v.Files); float64(records) > amplification*float64(v.LiveBytes) {
					tr.check(false, "round %d: %+v", round, v)
				}
			}
			m := tr.db.Metrics()
			t.Logf("amplification %.1f: %v", amplification, &m)
			tr.check(m.Values.Moved > 0 && float64(m.Values.Moved) < float64(m.Values.Written-m.Values.Moved)/(amplification-1), "%+v", m.Values)
			tr.scan(tr.db, tr.model.now())
			tr.must(tr.db.Verify())
			tr.must(tr.db.Close())
			tr.checkNoMore()
		})
	}
}

// The same with a policy that keeps everything in level 0, where tables are rewritten in
// their places.
func TestGarbageInLevel0(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		o := faultOptions(false)
		o.MemtableBytes, o.ValueThreshold, o.ValueFileBytes, o.SpaceAmplification = 32<<10, 50, 16<<10, 1.2
		o.Compaction, o.L0Tables = FIFO{}, 4
		tr := &tester{e: e, disk: vfs.NewDisk(1), rng: rand.New(rand.NewPCG(1, 1)), o: o, model: newModel()}
		tr.open()
		for round := range 12 {
			for range 100 {
				tr.put(fmt.Sprintf("%03d", tr.rng.IntN(60)), strings.Repeat(fmt.Sprint(round), 300+tr.rng.IntN(600)))
			}
			tr.flush()
			tr.awaitCollection()
			v := tr.db.Metrics().Values
			if records := v.Bytes - 64*uint64(v.Files); float64(records) > 1.2*float64(v.LiveBytes) {
				tr.check(false, "round %d: %+v", round, v)
			}
			tr.scan(tr.db, tr.model.now())
		}
		tr.check(tr.db.Metrics().Values.Moved > 0, "nothing was moved")
		tr.must(tr.db.Verify())
		tr.must(tr.db.Close())
	})
}

// checkNoMore opens the database again, without collection, and checks its files.
func (t *tester) checkNoMore() {
	t.o.SpaceAmplification = -1
	t.open()
	t.checkFiles()
	t.must(t.db.Close())
}

// What a snapshot sees stays, though newer versions are moved and files go.
func TestCollectionKeepsWhatSnapshotsSee(t *testing.T) {
	inWorld(t, 1, func(e *env.Env) {
		o := faultOptions(false)
		o.ValueThreshold, o.ValueFileBytes, o.SpaceAmplification = 50, 1<<10, 1.01
		tr := &tester{e: e, disk: vfs.NewDisk(1), rng: rand.New(rand.NewPCG(1, 1)), o: o, model: newModel()}
		tr.open()
		var snapshots []modelSnapshot
		for round := range 6 {
			for i := range 40 {
				if i%(round+1) == 0 {
					tr.put(fmt.Sprintf("%03d", i), strings.Repeat(fmt.Sprint(round), 800))
				}
			}
			content := map[string]string{}
			for _, op := range tr.model.ops {
				applyTo(content, op)
			}
			snapshots = append(snapshots, modelSnapshot{tr.db.NewSnapshot(), content})
			tr.must(tr.db.Compact(nil, nil))
			for _, s := range snapshots {
				tr.scan(s, s.content)
			}
			if round%2 == 1 {
				snapshots[round/2].Close()
				snapshots = slices.Delete(snapshots, round/2, round/2+1)
			}
			tr.awaitCollection()
		}
		tr.check(tr.db.Metrics().Values.Moved > 0, "nothing was moved")
		tr.scan(tr.db, tr.model.now())
		tr.must(tr.db.Close())
	})
}

// A value that is damaged keeps its file from being emptied, but compaction goes on, and
// everything else stays readable.
func TestCollectionGoesAroundDamage(t *testing.T) {
	img, content, o := valuesDatabase(t)
	name := valueFiles(img)[0]
	img[name][60] ^= 1 // in key08
	var damaged []DamageEvent
	o.SpaceAmplification = 1.01
	o.Events = &Listener{Damaged: func(e DamageEvent) { damaged = append(damaged, e) }}
	db, err := Open(env.New(), img.fs(t), o)
	if err != nil {
		t.Fatal(err)
	}
	// Garbage in both files.
	for i := 10; i < 20; i++ {
		k := fmt.Sprintf("key%02d", i)
		content[k] = strings.Repeat("new ", 10)
		if err := set(db, k, content[k]); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(nil, nil); err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.Delete([]byte("key30"))
	delete(content, "key30")
	if err := errors.Join(db.Apply(b), db.Compact(nil, nil)); err != nil {
		t.Fatal(err)
	}
	for v := db.current.Load().version; db.emptying(v, v.isSound) != nil; v = db.current.Load().version {
		if _, err := db.compactOnce(); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := readAround(t, db, content, name)
	var damage *corrupt.Error
	if lost != 1 || !errors.As(err, &damage) || len(damaged) != 1 || damaged[0].Name != name {
		t.Errorf("%d values lost, %v; events %v", lost, err, damaged)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
