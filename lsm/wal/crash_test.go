package wal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// Random lives on a simulated disk, each ended by a crash at a random call, of the
// process or of the power, also during recovery. What comes back is always a run of
// records without a gap that begins where segments were removed and ends at or after
// what was synced.
func TestRandomCrashes(t *testing.T) {
	first := rand.Uint64() >> 16
	for seed := first; seed < first+150; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		disk := vfs.NewDisk(seed)
		c := crasher{t: t, seed: seed, rng: rng}
		for range 12 {
			mode := vfs.RandomCrash(rng)
			if rng.IntN(3) == 0 {
				mode = vfs.KeepAll
			}
			disk.CrashAt(1+rng.IntN(60), func() { disk.Crash(mode) })
			c.live(disk.Mount())
			if mode != vfs.KeepAll {
				c.written = c.synced
			}
		}
	}
}

// A crasher knows what a log may hold. Records are their own numbers.
type crasher struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	removed int // records before are certainly not needed
	synced  int // these survive a power cut
	written int // these survive the death of the process
	next    int // number of the next record
}

// live opens, checks, and works until the disk is dead.
func (c *crasher) live(fs vfs.FS) {
	o := Options{
		SegmentBytes: 8 << 10, Recycle: c.rng.IntN(3),
		Preallocate: c.rng.IntN(2) == 0, Lazy: c.rng.IntN(2) == 0,
	}
	l, err := Open(fs, o)
	if err != nil {
		c.fatalUnlessDead(fs, err)
		return
	}
	records, err := replayed(l, 0)
	if err != nil {
		c.fatalUnlessDead(fs, err)
		return
	}
	c.check(records)
	for err == nil {
		switch n := c.rng.IntN(20); {
		case n < 14:
			_, err = l.Append(c.record(c.next))
			if c.next++; err == nil {
				c.written = c.next
			}
		case n < 17:
			if err = l.Sync(); err == nil {
				c.synced = c.next
			}
		case n < 18:
			_, err = l.Rotate()
			if err == nil && !o.Lazy {
				c.synced = c.next
			}
		case n < 19:
			if segments := l.Segments(); len(segments) > 1 {
				c.removed = c.next // what is left is checked to be without a gap
				err = l.RemoveBefore(segments[c.rng.IntN(len(segments))].ID)
			}
		case c.rng.IntN(4) == 0: // nothing is needed any more
			var id SegmentID
			if id, err = l.Rotate(); err == nil {
				c.removed = c.next
				err = l.RemoveBefore(id)
			}
			if err == nil {
				err = l.Trim()
			}
		case c.rng.IntN(15) == 0:
			if l.Close() == nil {
				c.synced = c.next
			}
			return
		}
	}
	_ = l.Close()
}

func (c *crasher) record(i int) []byte {
	return fmt.Appendf(make([]byte, 0, 900), "%d %*s", i, c.rng.IntN(900), "")
}

func (c *crasher) check(records []string) {
	var got []int
	for _, r := range records {
		var i int
		fmt.Sscan(r, &i)
		got = append(got, i)
	}
	if len(got) == 0 {
		if c.written > c.removed {
			c.t.Fatalf("seed %d: nothing came back, want up to %d", c.seed, c.written)
		}
		c.removed = c.next // the next record is the first
		return
	}
	first, last := got[0], got[len(got)-1]
	isRun := slices.IsSorted(got) && last-first+1 == len(got)
	if !isRun || first > c.removed || last < c.written-1 || last >= c.next {
		c.t.Fatalf("seed %d: %v came back; removed before %d, synced to %d, written to %d, begun to %d",
			c.seed, got, c.removed, c.synced, c.written, c.next)
	}
	c.next = last + 1
	c.written, c.synced = c.next, c.next // Open has synced what it found
	c.removed = first
}

func (c *crasher) fatalUnlessDead(fs vfs.FS, err error) {
	if _, e := fs.List(""); e == nil {
		c.t.Fatalf("seed %d: %v", c.seed, err)
	}
}

// A power cut may leave of a lazy log's sealed segment nothing but the header. The caller
// knows from Rotate that it needs later segments only, and so later records must
// not go to that one.
func TestLazySegmentLostAfterRotate(t *testing.T) {
	disk := vfs.NewDisk(1)
	o := Options{Prefix: "w", Lazy: true}
	l := mustOpen(t, disk.Mount(), o)
	_, err := l.Append([]byte("lost"))
	must(t, err)
	needed, err := l.Rotate()
	must(t, err)
	disk.Crash(vfs.LoseAll)

	l = mustOpen(t, disk.Mount(), o)
	if got, err := replayed(l, needed); err != nil || len(got) != 0 {
		t.Fatalf("Replay = %q, %v", got, err)
	}
	_, err = l.Append([]byte("kept"))
	must(t, err)
	must(t, l.Sync())
	disk.Crash(vfs.LoseAll)

	l = mustOpen(t, disk.Mount(), o)
	if got, err := replayed(l, needed); err != nil || len(got) != 1 || got[0] != "kept" {
		t.Errorf("Replay = %q, %v; want the record that was synced", got, err)
	}
}
