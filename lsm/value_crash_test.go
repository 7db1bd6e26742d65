package lsm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

// The power is cut at every I/O call of a life that separates values, moves pointers and
// values, and gives value files up: after it, all that was acknowledged is there, everything
// verifies, and no file is left over.
func TestCrashAtEveryCallWithValues(t *testing.T) {
	seed := rand.Uint64() >> 16
	for _, noWAL := range []bool{false, true} {
		for _, mode := range []vfs.CrashMode{vfs.LoseAll, vfs.KeepAll} {
			n, reached := 1, true
			for ; reached; n++ {
				reached = crashAt(t, seed, noWAL, mode, n)
			}
			if n < 100 {
				t.Errorf("only %d calls were made", n)
			}
		}
	}
}

func valueCrashOptions(noWAL bool) Options {
	o := quietOptions()
	o.ValueThreshold, o.ValueFileBytes, o.TableBytes, o.DisableWAL = 50, 2000, 300, noWAL
	o.SpaceAmplification = 1.1
	return o
}

// crashAt cuts the power at call n, if the life has so many.
func crashAt(t *testing.T, seed uint64, noWAL bool, mode vfs.CrashMode, n int) (crashed bool) {
	t.Helper()
	w := env.NewWorld(seed, env.Options{})
	defer w.Close()
	tr := &tester{disk: vfs.NewDisk(seed), rng: rand.New(rand.NewPCG(seed, 1)), o: valueCrashOptions(noWAL), model: newModel()}
	tr.e = w.NewNode("n")
	tr.disk.CrashAt(n, func() {
		crashed = true
		if mode != vfs.KeepAll || noWAL {
			tr.said = tr.acked
		}
		tr.disk.Crash(mode)
		w.Crash("n")
	})
	err := w.Do(tr.e, "life", func() {
		tr.open()
		tr.liveWithValues()
		tr.must(tr.db.Close())
		tr.acked = tr.model.lastSeq()
	})
	if crashed {
		tr.e = w.Restart("n")
	} else if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	tr.disk.CrashAt(1<<40, func() {})
	if err := w.Do(tr.e, "afterwards", func() {
		tr.o.SpaceAmplification = -1 // files neither come nor go by themselves
		tr.open()
		tr.must(tr.db.Verify())
		tr.checkFiles()
		tr.must(tr.db.Compact(nil, nil))
		tr.scan(tr.db, tr.model.now())
		tr.must(tr.db.Verify())
		tr.must(tr.db.Close())
	}); err != nil {
		t.Fatalf("seed %d, no WAL %v, %v at call %d: %v", seed, noWAL, mode, n, err)
	}
	return crashed
}

// liveWithValues makes three value files and garbage in them.
func (t *tester) liveWithValues() {
	put := func(from, to int, what string) {
		for i := from; i < to; i++ {
			t.put(fmt.Sprintf("%02d", i), strings.Repeat(what, 100+i))
		}
	}
	put(0, 10, "old ")
	t.flush()
	t.must(t.db.Compact(nil, nil))
	put(3, 9, "new ")
	t.put("04", "short")
	t.flush()
	t.must(t.db.Compact(nil, nil))
	t.scan(t.db, t.model.now())
	put(0, 3, "last")
	t.flush()
	t.must(t.db.Compact(nil, nil))
	t.scan(t.db, t.model.now())
	put(9, 11, "logged")
	t.awaitCollection()
	t.check(t.db.Metrics().Values.Moved > 0, "no value was moved: the test proves less than it says")
	t.scan(t.db, t.model.now())
}

// awaitCollection waits until there is no more garbage in value files than there may be.
func (t *tester) awaitCollection() {
	for range 1000 {
		v := t.db.current.Load().version
		if t.db.emptying(v, v.isSound) == nil {
			return
		}
		t.e.Sleep(time.Millisecond)
	}
	t.check(false, "garbage is not collected\n%s", t.db.Levels())
}

func (t *tester) put(k, v string) {
	op := operation{kind: key.Set, user: []byte(k), value: []byte(v)}
	t.model.apply([]operation{op})
	t.must(set(t.db, k, v))
	t.said = t.model.lastSeq()
	if !t.o.DisableWAL {
		t.acked = t.said
	}
}

func (t *tester) flush() {
	t.must(t.db.Flush())
	t.acked = t.model.lastSeq()
}

// checkFiles checks that the directory has exactly the files of the version.
func (t *tester) checkFiles() {
	v := t.db.current.Load().version
	known := map[string]bool{}
	for _, tables := range v.levels {
		for _, tab := range tables {
			known[tab.name] = true
		}
	}
	for _, f := range v.values {
		known[f.name] = true
	}
	names, err := t.disk.Mount().List(t.o.Dir)
	t.must(err)
	for _, name := range names {
		if isNumbered(name, tableSuffix) || isNumbered(name, valueSuffix) {
			t.check(known[name], "%s is left over", name)
			delete(known, name)
		}
	}
	t.check(len(known) == 0, "missing: %v", known)
	_, err = t.db.Get([]byte("none"), nil)
	t.check(errors.Is(err, ErrNotFound), "Get = %v", err)
}
