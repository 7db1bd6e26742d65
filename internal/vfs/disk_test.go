package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

var powerCuts = []CrashMode{LoseAll, KeepPrefix, TearSectors, TearGarbage,
	LoseAll | AnyDirs, KeepPrefix | AnyDirs, TearSectors | AnyDirs, TearGarbage | AnyDirs}

// everyCut runs test with every way of losing power, and several seeds each.
func everyCut(t *testing.T, test func(t *testing.T, d *Disk, mode CrashMode)) {
	for _, mode := range powerCuts {
		for seed := range uint64(40) {
			t.Run(fmt.Sprintf("mode=%#x/seed=%d", byte(mode), seed), func(t *testing.T) {
				test(t, NewDisk(seed), mode)
			})
		}
	}
}

func writeAt(t *testing.T, f File, p []byte, off int64) {
	t.Helper()
	if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
		t.Fatalf("WriteAt = %d, %v", n, err)
	}
}

// How many states one overwrite of 2,000 bytes can leave shows what a mode does.
func TestCrashStates(t *testing.T) {
	for mode, want := range map[CrashMode][2]int{ // at least, at most
		KeepAll:     {1, 1},
		LoseAll:     {1, 1},
		KeepPrefix:  {5, 5},   // 0 to 4 sectors
		TearSectors: {16, 16}, // 4 sectors, each old or new
		TearGarbage: {100, 3000},
	} {
		states := map[string]bool{}
		for seed := range uint64(3000) {
			d := NewDisk(seed)
			write(t, d, "f", string(make([]byte, 2048)))
			must(t, d.SyncDir(""))
			f, err := d.Open("f")
			must(t, err)
			writeAt(t, f, bytes.Repeat([]byte{1}, 2000), 24)
			d.Crash(mode)
			states[read(t, d, "f")] = true
		}
		if n := len(states); n < want[0] || n > want[1] {
			t.Errorf("mode %d left %d different states, want %d to %d", mode, n, want[0], want[1])
		}
	}
}

// What was synced stays, whatever happens to the rest: random histories of one
// file, each byte checked against the values it could have.
func TestSyncedDataSurvives(t *testing.T) {
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		rng := rand.New(rand.NewPCG(7, uint64(mode)))
		f, err := d.Create("f")
		must(t, err)
		must(t, d.SyncDir(""))
		var versions [][]byte // the synced content, then one per change
		content := []byte{}
		versions = append(versions, slices.Clone(content))
		for range 30 {
			switch rng.IntN(8) {
			case 0:
				must(t, f.Sync())
				versions = nil
			case 1:
				n := rng.IntN(6000)
				must(t, f.Truncate(int64(n)))
				content = append(content, make([]byte, 6000)...)[:n:n]
			default:
				off, p := rng.IntN(5000), noise(rng, rng.IntN(1500)+1)
				writeAt(t, f, p, int64(off))
				if more := off + len(p) - len(content); more > 0 {
					content = append(content, make([]byte, more)...)
				}
				copy(content[off:], p)
			}
			versions = append(versions, slices.Clone(content))
		}
		d.Crash(mode)
		got := []byte(read(t, d, "f"))
		for i, b := range got {
			possible := slices.ContainsFunc(versions, func(v []byte) bool {
				return i < len(v) && v[i] == b || i >= len(v) && b == 0
			})
			torn := mode&^AnyDirs == TearGarbage && len(versions) > 1
			if !possible && !torn {
				t.Fatalf("byte %d is %#x, which it never was", i, b)
			}
		}
		if len(versions) == 1 && !bytes.Equal(got, versions[0]) {
			t.Error("a synced file changed")
		}
	})
}

// A log: synced records stay intact when later ones share their sector.
func TestSyncedNeighbourIsNotTorn(t *testing.T) {
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		f, err := d.Create("log")
		must(t, err)
		must(t, d.SyncDir(""))
		writeAt(t, f, []byte("first"), 0)
		must(t, f.Sync())
		writeAt(t, f, bytes.Repeat([]byte("x"), 600), 5)
		d.Crash(mode)
		if got := read(t, d, "log"); len(got) < 5 || got[:5] != "first" {
			t.Errorf("log begins with %q", got[:min(5, len(got))])
		}
	})
}

// What was written through is there after any crash, whatever was written before it and
// behind it; other writes are as likely to be lost as without it.
func TestWriteThroughSurvives(t *testing.T) {
	lost := 0
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		rng := rand.New(rand.NewPCG(11, uint64(mode)))
		f, err := d.Create("f")
		must(t, err)
		must(t, d.SyncDir(""))
		head := bytes.Repeat([]byte("h"), 700)
		for range 5 {
			switch rng.IntN(3) {
			case 0:
				must(t, f.Truncate(int64(rng.IntN(3000))))
			case 1:
				must(t, f.Preallocate(int64(rng.IntN(3000))))
			}
			writeAt(t, f, noise(rng, 1+rng.IntN(2000)), int64(rng.IntN(1000)))
		}
		writeAt(t, f, []byte("tail"), 2000)
		_, err = f.WriteThrough(head, 100)
		must(t, err)
		writeAt(t, f, []byte("behind"), 800)
		before := read(t, d, "f")
		d.Crash(mode)
		got := read(t, d, "f")
		if len(got) < 800 || got[100:800] != string(head) {
			t.Fatalf("of what was written through, %q is left", got[min(100, len(got)):min(800, len(got))])
		}
		if got != before {
			lost++
		}
		must(t, d.Remove("f"))
	})
	if lost == 0 {
		t.Error("no crash has lost what was not written through")
	}
}

// Bytes that were pending before them must not come over those written through.
func TestWriteThroughIsLast(t *testing.T) {
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		f, err := d.Create("f")
		must(t, err)
		must(t, d.SyncDir(""))
		must(t, f.Preallocate(4096))
		writeAt(t, f, bytes.Repeat([]byte("old"), 400), 0)
		_, err = f.WriteThrough([]byte("new"), 600)
		must(t, err)
		d.Crash(mode)
		if got := read(t, d, "f"); len(got) < 603 || got[600:603] != "new" {
			t.Errorf("file has %d bytes, with %q at 600", len(got), got[min(600, len(got)):min(603, len(got))])
		}
	})
}

// The way a manifest is replaced: old or new, never neither.
func TestRenameIsAtomic(t *testing.T) {
	kept := map[string]int{}
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		write(t, d, "current", "old")
		must(t, d.SyncDir(""))
		write(t, d, "tmp", "new")
		must(t, d.Rename("tmp", "current"))
		d.Crash(mode)
		got := read(t, d, "current")
		if got != "old" && got != "new" {
			t.Errorf("current holds %q", got)
		}
		kept[got]++
	})
	if kept["old"] == 0 || kept["new"] == 0 {
		t.Errorf("outcomes %v: chance never chose one of them", kept)
	}
}

func TestDirectoriesNeedSync(t *testing.T) {
	lost := map[string]int{}
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		must(t, d.MkdirAll("a/b"))
		write(t, d, "a/b/unsynced-parents", "x")
		must(t, d.SyncDir("a/b"))
		write(t, d, "synced", "x")
		must(t, d.SyncDir(""))
		write(t, d, "unsynced", "x")
		must(t, d.Remove("synced"))
		d.Crash(mode)
		names, err := d.List("")
		must(t, err)
		for _, name := range []string{"a", "synced", "unsynced"} {
			if !slices.Contains(names, name) {
				lost[name]++
			}
		}
		if slices.Contains(names, "synced") && read(t, d, "synced") != "x" {
			t.Error("an unlink that was undone lost the content")
		}
	})
	if lost["a"] != 0 {
		t.Error("a synced directory was lost")
	}
	for _, name := range []string{"synced", "unsynced"} {
		if lost[name] == 0 || lost[name] == len(powerCuts)*40 {
			t.Errorf("%s was lost %d times: chance never decided otherwise", name, lost[name])
		}
	}
}

// What a power cut would leave can be looked at without one: of two changes of a directory any may be there, of a file
// what was synced. The disk goes on.
func TestRemains(t *testing.T) {
	d := NewDisk(1)
	write := func(name, text string) File {
		f, err := d.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		writeAt(t, f, []byte(text), 0)
		return f
	}
	read := func(fs FS, name string) string {
		f, err := fs.Open(name)
		if err != nil {
			return err.Error()[len("open "):]
		}
		b := make([]byte, 8)
		n, _ := f.ReadAt(b, 0)
		return string(b[:n])
	}
	if err := d.MkdirAll("a"); err != nil {
		t.Fatal(err)
	}
	f := write("a/old", "old")
	if err := errors.Join(f.Sync(), d.SyncDir(""), d.SyncDir("a")); err != nil {
		t.Fatal(err)
	}
	g := write("a/temp", "new")
	if err := errors.Join(g.Sync(), d.Rename("a/temp", "a/name"), d.Remove("a/old")); err != nil {
		t.Fatal(err)
	}
	writeAt(t, g, []byte("more"), 3)
	if n := d.Pending(); n != 3 {
		t.Errorf("%d changes are pending, want 3", n)
	}
	if !d.Unsynced("a") || d.Unsynced("") || d.Unsynced("b") {
		t.Error("what is not synced is of a directory, and not of its parent")
	}
	missing := func(name string) string { return name + ": file does not exist" }
	for kept, want := range map[string][3]string{
		"---": {"old", missing("a/temp"), missing("a/name")},
		"+--": {"old", "new", missing("a/name")},
		"++-": {"old", missing("a/temp"), "new"},
		"-++": {missing("a/old"), missing("a/temp"), "new"},
		"--+": {missing("a/old"), missing("a/temp"), missing("a/name")},
	} {
		i := 0
		left := d.Remains(func() bool { i++; return kept[i-1] == '+' })
		for k, name := range []string{"a/old", "a/temp", "a/name"} {
			if got := read(left, name); got != want[k] {
				t.Errorf("%s: %s is %q, want %q", kept, name, got, want[k])
			}
		}
		h, err := left.Create("a/own")
		if err != nil {
			t.Fatal(err)
		}
		writeAt(t, h, []byte("x"), 0)
	}
	seen := map[string]bool{}
	for seed := range uint64(20) {
		seen[read(d.TornRemains(func() bool { return true }, 1+seed), "a/name")] = true
	}
	if !seen["new"] || !seen["newmore"] {
		t.Errorf("of a write that is not synced, nothing or all of it is left: %v", seen)
	}
	if got := read(d, "a/name"); got != "newmore" {
		t.Errorf("the disk itself has %q", got)
	}
	if got := read(d, "a/own"); got != missing("a/own") {
		t.Errorf("the disk itself has what was written to what would remain: %q", got)
	}
	if err := d.SyncDir("a"); err != nil || !d.Unsynced("a") {
		t.Errorf("a write is synced with its directory (%v)", err)
	}
	if err := g.Sync(); err != nil || d.Unsynced("a") {
		t.Errorf("after syncs something is not synced (%v)", err)
	}
}

// Syncing the target of a rename must not let the rename overtake the
// creation of its source, or the file would have two names.
func TestRenameBetweenDirectories(t *testing.T) {
	everyCut(t, func(t *testing.T, d *Disk, mode CrashMode) {
		must(t, d.MkdirAll("from"))
		must(t, d.MkdirAll("to"))
		must(t, d.SyncDir(""))
		write(t, d, "from/f", "x")
		must(t, d.Rename("from/f", "to/f"))
		must(t, d.SyncDir("to"))
		d.Crash(mode)
		from, err := d.List("from")
		must(t, err)
		if read(t, d, "to/f") != "x" || len(from) != 0 {
			t.Errorf("from holds %q", from)
		}
	})
}

// A crash of the process alone loses nothing, and a power cut later still can.
func TestKeepAll(t *testing.T) {
	d := NewDisk(1)
	f, err := d.Create("f")
	must(t, err)
	writeAt(t, f, []byte("x"), 0)
	d.Crash(KeepAll)
	if got := read(t, d, "f"); got != "x" {
		t.Errorf("after the process died: %q", got)
	}
	d.Crash(LoseAll)
	if _, err := d.Open("f"); !errors.Is(err, ErrNotExist) {
		t.Errorf("after the power cut: Open = %v", err)
	}
}

func TestDeadHandles(t *testing.T) {
	d := NewDisk(1)
	fs := d.Mount()
	write(t, fs, "f", "data")
	must(t, fs.SyncDir(""))
	f, err := fs.Open("f")
	must(t, err)
	m, err := f.Map()
	must(t, err)
	d.Crash(LoseAll)
	b := make([]byte, 4)
	_, createErr := fs.Create("g")
	_, openErr := fs.Open("f")
	_, listErr := fs.List("")
	_, _, usageErr := fs.Usage()
	_, readErr := f.ReadAt(b, 0)
	_, writeErr := f.WriteAt(b, 0)
	_, sizeErr := f.Size()
	_, mapErr := f.Map()
	_, viewErr := m.View(0, 1)
	for call, err := range map[string]error{
		"create": createErr, "open": openErr, "list": listErr, "usage": usageErr, "read": readErr,
		"write": writeErr, "size": sizeErr, "map": mapErr, "view": viewErr,
		"remove": fs.Remove("f"), "rename": fs.Rename("f", "g"), "link": fs.Link("f", "g"),
		"mkdirall": fs.MkdirAll("d"), "syncdir": fs.SyncDir(""), "sync": f.Sync(),
		"truncate": f.Truncate(0), "preallocate": f.Preallocate(9), "close": f.Close(),
	} {
		if err != ErrDead {
			t.Errorf("%s = %v, want ErrDead", call, err)
		}
	}
	m.Release()
	if got := read(t, d.Mount(), "f"); got != "data" {
		t.Errorf("the next life reads %q", got)
	}
}

func TestSyncErrorMarksClean(t *testing.T) {
	survived := 0
	for seed := range uint64(200) {
		d := NewDisk(seed)
		write(t, d, "f", "old")
		must(t, d.SyncDir(""))
		f, err := d.Open("f")
		must(t, err)
		writeAt(t, f, []byte("new"), 0)
		d.OnOp(func(op Op) error {
			if op.Kind == OpSync {
				return ErrIO
			}
			return nil
		})
		if err := f.Sync(); !errors.Is(err, ErrIO) {
			t.Fatalf("Sync = %v", err)
		}
		d.OnOp(nil)
		must(t, f.Sync()) // says yes and does nothing
		if got := read(t, d, "f"); got != "new" {
			t.Errorf("the page cache holds %q", got)
		}
		d.Crash(LoseAll)
		if read(t, d, "f") == "new" {
			survived++
		}
	}
	if survived == 0 || survived == 200 {
		t.Errorf("the data of a failed sync survived %d of 200 times", survived)
	}
}

func TestLyingSync(t *testing.T) {
	d := NewDisk(1)
	d.SetLying(true)
	write(t, d, "f", "x")
	must(t, d.SyncDir(""))
	d.Crash(LoseAll)
	if names, _ := d.List(""); len(names) != 0 {
		t.Errorf("a lying disk kept %q", names)
	}
}

func TestFullDisk(t *testing.T) {
	d := NewDisk(1)
	d.SetCapacity(1000)
	f, err := d.Create("f")
	must(t, err)
	must(t, f.Preallocate(900))
	g, err := d.Create("g")
	must(t, err)
	if _, err := g.WriteAt(make([]byte, 101), 0); !errors.Is(err, ErrNoSpace) {
		t.Errorf("write beyond the capacity = %v", err)
	}
	if err := g.Preallocate(101); !errors.Is(err, ErrNoSpace) {
		t.Errorf("preallocate beyond the capacity = %v", err)
	}
	if size, _ := g.Size(); size != 0 {
		t.Errorf("a refused write left %d bytes", size)
	}
	writeAt(t, f, make([]byte, 900), 0) // overwriting needs no space
	if free, total, err := d.Usage(); free != 100 || total != 1000 || err != nil {
		t.Errorf("Usage = %d, %d, %v", free, total, err)
	}
	must(t, d.Remove("f"))
	if err := g.Preallocate(101); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a removed but open file gave back its space: %v", err)
	}
	must(t, f.Close())
	must(t, g.Preallocate(1000))
	d.SetCapacity(2000)
	must(t, g.Preallocate(2000))
	must(t, g.Truncate(10))
	d.Crash(KeepAll)
	if free, _, _ := d.Usage(); free != 1990 {
		t.Errorf("%d bytes free, want 1990", free)
	}
}

func TestFlipBit(t *testing.T) {
	d := NewDisk(1)
	write(t, d, "f", "aaa")
	must(t, d.SyncDir(""))
	f, err := d.Open("f")
	must(t, err)
	m, err := f.Map()
	must(t, err)
	must(t, d.FlipBit("f", 9))
	if got := read(t, d, "f"); got != "aca" {
		t.Errorf("file reads %q", got)
	}
	if got := string(m.Bytes()); got != "aca" {
		t.Errorf("mapping shows %q", got)
	}
	d.Crash(LoseAll)
	if got := read(t, d, "f"); got != "aca" {
		t.Errorf("after a restart: %q", got)
	}
	if err := d.FlipBit("missing", 0); !errors.Is(err, ErrNotExist) {
		t.Errorf("FlipBit of a missing file = %v", err)
	}
}

func TestCrashAt(t *testing.T) {
	steps := []func(fs FS) error{
		func(fs FS) error { return fs.MkdirAll("d") },
		func(fs FS) error { return fs.SyncDir("") },
		func(fs FS) error { _, err := fs.Create("d/f"); return err },
		func(fs FS) error { return fs.SyncDir("d") },
	}
	for n := range steps {
		d := NewDisk(1)
		fs := d.Mount()
		d.CrashAt(n+1, func() { d.Crash(LoseAll) })
		for i, step := range steps {
			if _, err := fs.List(""); (err == ErrDead) != (i > n) {
				t.Errorf("crash at %d: reading before step %d = %v", n+1, i, err)
			}
			if err := step(fs); (err == ErrDead) != (i >= n) {
				t.Errorf("crash at %d: step %d = %v", n+1, i, err)
			}
		}
		if names, _ := d.List(""); (len(names) == 1) != (n >= 2) {
			t.Errorf("crash at %d left %q", n+1, names)
		}
	}
}

// A file whose sync was a lie is mapped, also by a process that comes after one that was killed.
func TestMapAfterLostSync(t *testing.T) {
	d := NewDisk(1)
	d.SetLying(true)
	f, err := d.Create("f")
	must(t, err)
	writeAt(t, f, []byte("data"), 0)
	must(t, f.Sync())
	d.Crash(KeepAll)
	fs := d.Mount()
	if f, err = fs.Open("f"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Map(); err != nil {
		t.Errorf("after a kill: %v", err)
	}
}

// Mappings hold their users to the rules.
func TestMapRules(t *testing.T) {
	d := NewDisk(1)
	f, err := d.Create("f")
	must(t, err)
	writeAt(t, f, []byte("data"), 0)
	if _, err := f.Map(); err == nil {
		t.Error("an unsynced file was mapped")
	}
	must(t, f.Sync())
	m, err := f.Map()
	must(t, err)
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a mapped file was changed")
	}
	view, err := m.View(0, 4)
	must(t, err)
	d.OnOp(func(op Op) error {
		if op.Kind == OpView {
			return ErrIO
		}
		return nil
	})
	if _, err := m.View(0, 4); !errors.Is(err, ErrIO) {
		t.Errorf("View = %v, want the injected error", err)
	}
	m.Release()
	m.Release()
	if string(view) != "\xDB\xDB\xDB\xDB" {
		t.Errorf("a released view reads %q", view)
	}
	writeAt(t, f, []byte("x"), 0)
}

// Equal seeds and calls leave equal disks; other seeds leave others.
func TestDiskIsDeterministic(t *testing.T) {
	run := func(seed uint64) string {
		d := NewDisk(seed)
		for i := range 10 {
			f, err := d.Create(fmt.Sprint("f", i%4))
			must(t, err)
			writeAt(t, f, bytes.Repeat([]byte{byte(i)}, 3000), int64(i*100))
			if i%3 == 0 {
				must(t, d.SyncDir(""))
				must(t, f.Sync())
			}
			if i%5 == 4 {
				d.Crash(TearGarbage | AnyDirs)
			}
		}
		names, _ := d.List("")
		all := ""
		for _, name := range names {
			all += name + read(t, d, name)
		}
		return all
	}
	distinct := map[string]bool{}
	for seed := range uint64(20) {
		a := run(seed)
		if a != run(seed) {
			t.Errorf("seed %d gave two different disks", seed)
		}
		distinct[a] = true
	}
	if len(distinct) < 15 {
		t.Errorf("20 seeds gave only %d different disks", len(distinct))
	}
}

func BenchmarkDiskAppendSync(b *testing.B) {
	d := NewDisk(1)
	f, _ := d.Create("f")
	buf := make([]byte, 4096)
	off := int64(0)
	for b.Loop() {
		_, err := f.WriteAt(buf, off)
		if err := errors.Join(err, f.Sync()); err != nil {
			b.Fatal(err)
		}
		if off += 4096; off == 4<<20 {
			off = 0
		}
	}
}

func BenchmarkDiskView(b *testing.B) {
	d := NewDisk(1)
	f, _ := d.Create("f")
	_, _ = f.WriteAt(make([]byte, 1<<16), 0)
	_ = f.Sync()
	m, _ := f.Map()
	for b.Loop() {
		if _, err := m.View(100, 100); err != nil {
			b.Fatal(err)
		}
	}
}
