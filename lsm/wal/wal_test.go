package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// small makes segments that a test fills with a few records.
var small = Options{Dir: "log", Prefix: "w", SegmentBytes: 16 << 10, Recycle: 2, Preallocate: true}

func mustOpen(t testing.TB, fs vfs.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// replayed returns all payloads, as strings.
func replayed(l *Log, from SegmentID) (got []string, err error) {
	err = l.Replay(from, func(_ Position, payload []byte) error {
		got = append(got, string(payload))
		return nil
	})
	return got, err
}

// clone copies the log's directory: what a killed process leaves behind.
func clone(t testing.TB, fs vfs.FS, dir string) *vfs.Mem {
	t.Helper()
	to := vfs.NewMem()
	must(t, to.MkdirAll(dir))
	for name, content := range contents(t, fs, dir) {
		writeFile(t, to, name, content)
	}
	return to
}

func contents(t testing.TB, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	names, err := fs.List(dir)
	must(t, err)
	files := map[string][]byte{}
	for _, name := range names {
		f, err := fs.Open(dir + "/" + name)
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, size)
		if _, err := f.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		files[dir+"/"+name] = b
	}
	return files
}

func writeFile(t testing.TB, fs vfs.FS, name string, content []byte) {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplayAfterClose(t *testing.T) {
	for _, o := range []Options{small, {Prefix: "x", SegmentBytes: 5000}, {}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			fs := vfs.NewMem()
			var want []string
			for life := range 4 {
				l := mustOpen(t, fs, o)
				got, err := replayed(l, 0)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("life %d: replay = %d records, %v; want %d", life, len(got), err, len(want))
				}
				for i := range 50 * life { // the first life writes nothing
					p := fmt.Sprintf("life %d record %d", life, i)
					_, err := l.Append([]byte(p), nil)
					must(t, err)
					want = append(want, p, "")
				}
				must(t, l.Sync())
				must(t, l.Close())
			}
		})
	}
}

func TestLargeRecordHasItsOwnSegment(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	large := bytes.Repeat([]byte("large"), 10<<10)
	for _, p := range [][]byte{[]byte("a"), large, []byte("b")} {
		if _, err := l.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.Close())
	l = mustOpen(t, fs, small)
	got, err := replayed(l, 0)
	if err != nil || !slices.Equal(got, []string{"a", string(large), "b"}) {
		t.Fatalf("replay = %d records, %v", len(got), err)
	}
	if n := len(l.Segments()); n != 4 {
		t.Errorf("%d segments, want 3 with one record each and the next", n)
	}
}

func TestReadAtAndNext(t *testing.T) {
	l := mustOpen(t, vfs.NewMem(), small)
	var at []Position
	for i := range 2000 { // several segments
		first, err := l.Append([]byte{byte(i)}, []byte("second"))
		must(t, err)
		at = append(at, first, first.Next(1))
	}
	for i, pos := range at {
		want := "second"
		if i%2 == 0 {
			want = string([]byte{byte(i / 2)})
		}
		if got, err := l.ReadAt(pos); err != nil || string(got) != want {
			t.Fatalf("ReadAt(%s) = %q, %v, want %q", pos, got, err, want)
		}
	}
	_, err := l.ReadAt(Position{at[0].Segment, at[0].Offset + 1})
	if c := (*corrupt.Error)(nil); !errors.As(err, &c) {
		t.Errorf("ReadAt between records = %v, want corruption", err)
	}
	if _, err := l.ReadAt(Position{99, headerBytes}); err == nil {
		t.Error("ReadAt of a segment that is not there succeeded")
	}
}

// A file that is used again holds old records of just the size and place of the
// new ones. None of them may come back.
func TestRecycledFileNeverShowsOldRecords(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	fill := func(what string) {
		for i := range 100 {
			_, err := l.Append([]byte(fmt.Sprintf("%s %03d", what, i)))
			must(t, err)
		}
		must(t, l.Sync())
	}
	fill("old")
	_, err := l.Rotate()
	must(t, err)
	must(t, l.append1("between"))
	id, err := l.Rotate()
	must(t, err)
	must(t, l.RemoveBefore(id-1))
	if len(l.spares) != 1 {
		t.Fatalf("%d spare files, want 1", len(l.spares))
	}
	fill("mid")
	if len(l.spares) != 0 {
		t.Fatalf("the spare file was not used")
	}
	must(t, l.RemoveBefore(id))
	for i := range 3 {
		_, err := l.Append([]byte(fmt.Sprintf("new %03d", i)))
		must(t, err)
	}
	l2 := mustOpen(t, clone(t, fs, "log"), small)
	got, err := replayed(l2, 0)
	must(t, err)
	if len(got) != 103 || got[0] != "mid 000" || got[102] != "new 002" {
		t.Errorf("replay after recycling: %d records, first %q, last %q", len(got), got[0], got[len(got)-1])
	}
}

func TestRemoveBefore(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	var ids []SegmentID
	for i := range 6 {
		_, err := l.Append([]byte{byte('a' + i)})
		must(t, err)
		id, err := l.Rotate()
		must(t, err)
		ids = append(ids, id)
	}
	must(t, l.RemoveBefore(ids[3]))
	names, err := fs.List("log")
	must(t, err)
	want := []string{"w000003.spare", "w000004.spare", "w000005.log", "w000006.log"}
	want[0], want[1] = "w000001.spare", "w000002.spare" // two are kept, the rest is removed
	if !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	if got, err := replayed(l, ids[3]); err != nil || !slices.Equal(got, []string{"e", "f"}) {
		t.Errorf("replay = %q, %v", got, err)
	}
	if got, err := replayed(l, 7); err != nil || len(got) != 0 {
		t.Errorf("replay from the next segment = %q, %v", got, err)
	}
	for _, from := range []SegmentID{4, 8} {
		var c *corrupt.Error
		if _, err := replayed(l, from); !errors.As(err, &c) || c.File != "log/"+segmentName("w", from) {
			t.Errorf("replay from missing segment %s = %v, want corruption", from, err)
		}
	}
	must(t, l.Close())
	l = mustOpen(t, fs, small)
	must(t, l.RemoveBefore(100)) // the tail stays
	if got := l.Segments(); len(got) != 1 || got[0].ID != 7 {
		t.Errorf("segments after removing all: %v", got)
	}
}

// Any state that a crash can leave of unsynced bytes gives back a prefix that
// holds all that was synced, and the same prefix again after the next crash.
func TestTornTail(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		fs := vfs.NewMem()
		l := mustOpen(t, fs, small)
		var want []string
		synced, syncedEnd := 0, int64(headerBytes)
		for i := range 20 {
			p := make([]byte, rng.IntN(60))
			p = fmt.Appendf(p, "record %d", i)
			at, err := l.Append(p)
			must(t, err)
			want = append(want, string(p))
			if rng.IntN(8) == 0 {
				must(t, l.Sync())
				synced, syncedEnd = len(want), at.Next(len(p)).Offset
			}
		}
		const name = "log/w000001.log"
		image := contents(t, fs, "log")[name]
		tear(rng, image[syncedEnd:l.tail.end])

		fs = vfs.NewMem()
		must(t, fs.MkdirAll("log"))
		writeFile(t, fs, name, image)
		l = mustOpen(t, fs, small)
		got, err := replayed(l, 1)
		must(t, err)
		if len(got) < synced || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("seed %d: %d records came back of %d, %d synced", seed, len(got), len(want), synced)
		}
		// What was cut off stays cut off, whatever is appended now.
		_, err = l.Append([]byte("next life"))
		must(t, err)
		l = mustOpen(t, clone(t, fs, "log"), small)
		again, err := replayed(l, 1)
		if err != nil || !slices.Equal(again, append(got, "next life")) {
			t.Fatalf("seed %d: second recovery has %d records, %v, want %d", seed, len(again), err, len(got)+1)
		}
	}
}

// tear damages unsynced bytes as a power cut may: it loses sectors, cuts, or
// leaves garbage.
func tear(rng *rand.Rand, b []byte) {
	if len(b) == 0 {
		return
	}
	switch rng.IntN(4) {
	case 0:
		clear(b)
	case 1:
		clear(b[rng.IntN(len(b)):])
	case 2:
		for range 3 {
			i := rng.IntN(len(b))
			clear(b[i:min(len(b), i+64)])
		}
	case 3:
		for i := rng.IntN(len(b)); i < len(b) && rng.IntN(100) > 0; i++ {
			b[i] = byte(rng.Uint32())
		}
	}
}

// Of two unsynced records a crash leaves the second only. It is not replayed; and when
// later a record of the same size as the first takes the first one's place, the second
// does not come back behind it.
func TestRecordBehindTornTailStaysLost(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	must(t, l.append1("synced"))
	must(t, l.Sync())
	lost, err := l.Append([]byte("lost 1"), []byte("lost 2"))
	must(t, err)
	const name = "log/w000001.log"
	image := contents(t, fs, "log")[name]
	clear(image[lost.Offset:lost.Next(6).Offset])

	fs = vfs.NewMem()
	must(t, fs.MkdirAll("log"))
	writeFile(t, fs, name, image)
	for _, want := range [][]string{{"synced"}, {"synced", "new 01"}, {"synced", "new 01", "new 01"}} {
		l = mustOpen(t, clone(t, fs, "log"), small)
		if got, err := replayed(l, 1); err != nil || !slices.Equal(got, want) {
			t.Fatalf("replay = %q, %v, want %q", got, err, want)
		}
		l = mustOpen(t, fs, small) // and no Close: each life crashes
		must(t, l.append1("new 01"))
		must(t, l.Sync())
	}
}

// A flipped bit in a record that was synced, and after which something was
// appended, is damage and not a torn tail, although the log was not closed.
func TestDamageBeforeSyncedOffset(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	for i := range 5 {
		_, err := l.Append([]byte(fmt.Sprintf("synced %d", i)))
		must(t, err)
	}
	must(t, l.Sync())
	last, err := l.Append([]byte("not synced"))
	must(t, err)
	const name = "log/w000001.log"
	image := contents(t, fs, "log")[name]
	for off := range last.Offset {
		fs := vfs.NewMem()
		must(t, fs.MkdirAll("log"))
		image[off] ^= 1 << (off % 8)
		writeFile(t, fs, name, image)
		image[off] ^= 1 << (off % 8)
		_, err := Open(fs, small)
		var c *corrupt.Error
		if !errors.As(err, &c) || c.File != name || c.Offset > off {
			t.Fatalf("byte %d flipped: Open = %v, want corruption of %s", off, err, name)
		}
	}
}

// Every byte of a closed log is checked.
func TestEveryFlippedByteOfClosedLogIsFound(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	for i := range 30 {
		_, err := l.Append(bytes.Repeat([]byte{byte(i)}, i))
		must(t, err)
		if i == 20 {
			_, err = l.Rotate()
			must(t, err)
		}
	}
	must(t, l.Close())
	files := contents(t, fs, "log")
	if len(files) != 3 {
		t.Fatalf("%d files, want two full segments and an empty one", len(files))
	}
	for name, content := range files {
		for off := range content {
			fs := clone(t, fs, "log")
			content[off] ^= 1 << (off % 8)
			writeFile(t, fs, name, content)
			content[off] ^= 1 << (off % 8)
			l, err := Open(fs, small)
			if err == nil {
				_, err = replayed(l, 1)
			}
			var c *corrupt.Error
			if !errors.As(err, &c) || c.File != name || c.Offset > int64(off) {
				t.Fatalf("byte %d of %s flipped: %v", off, name, err)
			}
		}
		fs := clone(t, fs, "log")
		must(t, fs.Remove(name))
		l, err := Open(fs, small)
		if err == nil {
			_, err = replayed(l, 1)
		}
		var c *corrupt.Error
		if name != "log/w000003.log" && !errors.As(err, &c) { // the last one holds nothing
			t.Errorf("%s removed: %v", name, err)
		}
	}
}

// Readers may be anywhere while the owner appends, rotates and removes.
func TestConcurrentReadAt(t *testing.T) {
	l := mustOpen(t, vfs.NewMem(), small)
	kept, err := l.Append([]byte("kept"))
	must(t, err)
	_, err = l.Rotate()
	must(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := l.ReadAt(kept); err != nil || string(got) != "kept" {
					t.Errorf("ReadAt = %q, %v", got, err)
					return
				}
			}
		})
	}
	for range 200 {
		_, err := l.Append(make([]byte, 3000))
		must(t, err)
	}
	must(t, l.RemoveBefore(kept.Segment)) // nothing before it
	close(stop)
	wg.Wait()
	must(t, l.RemoveBefore(l.next))
	if _, err := l.ReadAt(kept); err == nil {
		t.Error("ReadAt of a removed segment succeeded")
	}
	must(t, l.Close())
}

func TestTrim(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	for range 4 {
		_, err := l.Append(make([]byte, 9<<10))
		must(t, err)
	}
	segments := l.Segments()
	must(t, l.RemoveBefore(segments[len(segments)-1].ID))
	names, err := fs.List("log")
	must(t, err)
	if len(names) < 2 {
		t.Fatalf("no spare files: %q", names)
	}
	must(t, l.Trim())
	must(t, l.Trim())
	if names, err = fs.List("log"); err != nil || len(names) != 1 {
		t.Errorf("after Trim: %q, %v; want the newest segment alone", names, err)
	}
	_, err = l.Append([]byte("goes on"))
	must(t, err)
	must(t, l.Close())
}

// When no record is needed any more, Trim leaves a bare header, in whichever way the log is
// written, and the log goes on behind it.
func TestTrimToHeader(t *testing.T) {
	for _, isLazy := range []bool{false, true} {
		fs := vfs.NewDisk(1)
		o := Options{Prefix: "w", Recycle: 2, Preallocate: true, Lazy: isLazy}
		l := mustOpen(t, fs, o)
		for _, record := range []string{"first", "second"} {
			_, err := l.Append([]byte(record))
			must(t, err)
			must(t, l.Trim()) // which takes nothing that is needed
			if got := l.Segments(); len(got) != 1 || got[0].Bytes != firstReserve {
				t.Fatalf("segments are %v, want one of %d bytes", got, firstReserve)
			}
			id, err := l.Rotate()
			must(t, err)
			must(t, l.RemoveBefore(id))
			must(t, l.Trim())
			names, err := fs.List("")
			must(t, err)
			if got := l.Segments(); len(names) != 1 || got[0] != (SegmentInfo{id, headerBytes + Overhead}) {
				t.Fatalf("files are %q, segments %v; want a header of segment %s", names, got, id)
			}
		}
		_, err := l.Append([]byte("third"))
		must(t, err)
		must(t, l.Sync())
		fs.Crash(vfs.LoseAll)
		l = mustOpen(t, fs, o)
		if got, err := replayed(l, 0); err != nil || len(got) != 1 || got[0] != "third" {
			t.Errorf("Replay = %q, %v; want the third record", got, err)
		}
		must(t, l.Close())
	}
}

// A new segment is reserved in steps that double; files of full size are used again.
func TestReserveGrows(t *testing.T) {
	for _, isLazy := range []bool{false, true} {
		l := mustOpen(t, vfs.NewMem(), Options{Prefix: "w", SegmentBytes: 6 << 20, Recycle: 1, Preallocate: true, Lazy: isLazy})
		record := make([]byte, 100<<10)
		var sizes []int64
		for l.next < 4 {
			_, err := l.Append(record)
			must(t, err)
			if n := l.tail.allocated; len(sizes) == 0 || sizes[len(sizes)-1] != n {
				sizes = append(sizes, n)
			}
			if l.tail.id == 2 {
				must(t, l.RemoveBefore(l.tail.id)) // so the third is the first one's file
			}
		}
		const MiB = 1 << 20
		if want := []int64{1 * MiB, 2 * MiB, 4 * MiB, 6 * MiB, 1 * MiB, 2 * MiB, 4 * MiB, 6 * MiB}; !slices.Equal(sizes, want) {
			t.Errorf("sizes are %v, want %v", sizes, want)
		}
		must(t, l.Close())
	}
}

// Reserved space is written before records need it, once: not again in a file that is used
// again, not over what is there, and not at all by a lazy log.
func TestWriteAhead(t *testing.T) {
	for _, isLazy := range []bool{false, true} {
		zeroed := map[string]int{}
		disk := vfs.NewDisk(1)
		fs := vfs.NewInject(disk, func(op vfs.Op) error {
			if op.Kind == vfs.OpWrite && op.Len == zeroAhead {
				zeroed[op.Name]++
			}
			return nil
		})
		o := Options{Prefix: "w", SegmentBytes: 1 << 20, Recycle: 1, Preallocate: true, Lazy: isLazy}
		l := mustOpen(t, fs, o)
		const records = 450
		for i := range records {
			_, err := l.Append(fmt.Appendf(nil, "%d %*s", i, 10<<10, ""))
			must(t, err)
			must(t, l.Sync())
			if id := l.tail.id; i < 300 && id > 1 {
				must(t, l.RemoveBefore(id))
			}
		}
		if got := l.tail.id; got < 4 {
			t.Fatalf("%d segments, want more", got)
		}
		want := map[string]int{}
		if !isLazy {
			// The last 4 KiB of a file are less than a whole piece. The third and fourth segment are
			// the files of the first two.
			want = map[string]int{"w000001.spare": 3, "w000002.spare": 3, "w000005.spare": 2}
		}
		if fmt.Sprint(zeroed) != fmt.Sprint(want) {
			t.Errorf("lazy %v: pieces of zeros are %v, want %v", isLazy, zeroed, want)
		}
		disk.Crash(vfs.LoseAll)
		l = mustOpen(t, fs, o)
		got, err := replayed(l, 0)
		must(t, err)
		var first, last int
		fmt.Sscan(got[0], &first)
		fmt.Sscan(got[len(got)-1], &last)
		if last != records-1 || len(got) != records-first || first > 300 {
			t.Errorf("lazy %v: records %d to %d came back, %d of them", isLazy, first, last, len(got))
		}
		must(t, l.Close())
	}
}

// A damaged log is left as it is: what is behind the damage may still be wanted.
func TestDamageIsLeftAlone(t *testing.T) {
	for _, o := range []Options{small, {Dir: "log", Prefix: "w", SegmentBytes: 16 << 10, Preallocate: true, Lazy: true}} {
		fs := vfs.NewMem()
		l := mustOpen(t, fs, o)
		for range 6 {
			_, err := l.Append(make([]byte, 5<<10))
			must(t, err)
		}
		must(t, l.Close())
		const name = "log/w000001.log"
		f, err := fs.Open(name)
		must(t, err)
		_, err = f.WriteAt([]byte{1}, headerBytes+7000) // in the second record
		must(t, err)
		must(t, f.Close())
		before := contents(t, fs, "log")
		l = mustOpen(t, fs, o)
		var damage *corrupt.Error
		if _, err := replayed(l, 0); !errors.As(err, &damage) || damage.File != name {
			t.Errorf("Replay = %v, want damage of %s", err, name)
		}
		_ = l.Close()
		if got := contents(t, fs, "log")[name]; len(got) == 0 || !bytes.Equal(got, before[name]) {
			t.Errorf("%d bytes are left of %d", len(got), len(before[name]))
		}
	}
}
