package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// loads tell what loading the entries in random order cost, once nothing goes on any
// more, before they are settled.
var loads = []Workload{
	{Name: "writeamp", Data: Entries, Unit: TimesRaw, run: (*runner).writeAmplification},
	{Name: "space", Data: Entries, Unit: TimesRaw, run: (*runner).space},
	{Name: "space-settled", Data: Entries, Unit: TimesRaw, run: func(r *runner, w *Workload) (Sample, error) {
		return Sample{Value: r.loaded.settled, Ops: 1}, nil
	}},
}

// endings tell the same of the overwrites.
var endings = []Workload{
	{Name: "writeamp-overwrite", Data: Entries, Group: "overwrite-end", Unit: TimesRaw, run: (*runner).overwriteAmplification},
	{Name: "space-overwritten", Data: Entries, Group: "overwrite-end", Unit: TimesRaw, run: func(r *runner, w *Workload) (Sample, error) {
		r.awaitIdle()
		bytes, err := diskUsage(r.dirOf(Entries))
		return Sample{Value: bytes / r.data.rawBytes(), Ops: 1}, err
	}},
}

// starts open a database with all entries in a new process: the time until the
// first entry is read, and the memory that the process then has.
var starts = []Workload{
	{Name: "open", Data: Entries, Unit: Millis, Fresh: true, run: (*runner).start},
	{Name: "open-memory", Data: Entries, Unit: MiB, Fresh: true, run: (*runner).memoryAfterStart},
}

// loaded is what loading a data set cost.
type loaded struct {
	written written // by load, until nothing went on any more
	space   float64 // bytes on disk then, as multiple of the raw bytes
	settled float64 // the same when settled
}

// writeAmplification is bytes written by load, as multiple of the raw bytes.
func (r *runner) writeAmplification(*Workload) (Sample, error) {
	return r.loaded.written.sample(r.data.rawBytes())
}

func (r *runner) space(*Workload) (Sample, error) {
	return Sample{Value: r.loaded.space, Ops: 1}, nil
}

// beginOverwriting notes what was written before the first overwrite.
func (r *runner) beginOverwriting() {
	if r.overwritten == 0 {
		r.awaitIdle()
		r.beforeOverwrites = writtenBytes()
	}
}

func (r *runner) overwriteAmplification(*Workload) (Sample, error) {
	if r.overwritten == 0 {
		return Sample{}, errors.New("nothing was overwritten: run overwrite, too")
	}
	r.awaitIdle()
	raw := float64(r.overwritten) * float64(KeySize+r.data.valueSize)
	return writtenBytes().minus(r.beforeOverwrites).sample(raw)
}

// A written counts bytes that this process wrote since it began. The pages of a
// file count as dirtied, whether by write or through a mapping, once until they
// reach the disk; calls count all that is passed to write.
type written struct {
	pages, calls uint64 // in bytes
	count        uint64 // of calls
}

func (w written) minus(before written) written {
	return written{w.pages - before.pages, w.calls - before.calls, w.count - before.count}
}

// sample takes the greater count: pages miss what is overwritten in the page cache,
// calls what is written through mappings.
func (w written) sample(raw float64) (Sample, error) {
	if w == (written{}) {
		return Sample{}, errors.New("this system does not say what a process writes")
	}
	return Sample{
		Value: float64(max(w.pages, w.calls)) / raw, Ops: 1,
		Note: fmt.Sprintf("%.2f by pages dirtied, %.2f by calls of write", float64(w.pages)/raw, float64(w.calls)/raw),
	}, nil
}

// idlePolls is for how many polls in a row the process must be at rest.
const (
	idlePoll  = 50 * time.Millisecond
	idlePolls = 4
	idleShare = 20 // at rest is less than 1/idleShare of a CPU
	idleLimit = 2 * time.Minute
)

// awaitIdle waits until background work has come to an end, or for idleLimit. CPU
// time tells that of every engine alike.
func awaitIdle() {
	start := time.Now()
	for rest := 0; rest < idlePolls && time.Since(start) < idleLimit; rest++ {
		before := CPUTime()
		time.Sleep(idlePoll)
		if CPUTime()-before > idlePoll/idleShare {
			rest = -1
		}
	}
}

// diskUsage is what the files below dir occupy. Holes do not count, space that was
// reserved does.
func diskUsage(dir string) (float64, error) {
	var sum float64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err == nil && info.Mode().IsRegular() {
			sum += occupied(info)
		}
		return err
	})
	return sum, err
}

// WrittenBytes is what this process has written to files below a directory so far: the greater of pages dirtied and bytes passed
// to write. If writes are synced one by one and the kernel then counts too many pages (RoundsWrites), it is at the most a page for each call of
// write beside its bytes. 0 if the system does not say.
func WrittenBytes(dir string, synced bool) float64 {
	synced = synced && RoundsWrites(dir) // first: it writes, too
	w := writtenBytes()
	all := max(w.pages, w.calls)
	if synced {
		all = min(all, w.calls+w.count*pageBytes)
	}
	return float64(all)
}

const pageBytes = 4096

// RoundsWrites reports whether the kernel's count of a process's written bytes cannot be trusted for small writes that are synced, on the
// file system of a directory. Since the page cache has folios of many pages (ext4: Linux 6.16), a byte written to a clean folio counts as all of it, up
// to 2 MiB, although only its block goes to the disk. It is found out by writing a little, once for each directory.
func RoundsWrites(dir string) bool {
	probe, _ := roundings.LoadOrStore(dir, sync.OnceValue(func() bool { return roundsWrites(dir) }))
	return probe.(func() bool)()
}

var roundings sync.Map // of func() bool, by directory

func roundsWrites(dir string) bool {
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, 4<<20)); err != nil || f.Sync() != nil {
		return false
	}
	const tries = 8
	before := writtenBytes()
	for i := range int64(tries) {
		if _, err := f.WriteAt([]byte{1}, i*pageBytes); err != nil || f.Sync() != nil {
			return false
		}
	}
	return writtenBytes().pages-before.pages > 4*tries*pageBytes
}

// DiskUsage is what the files below a directory occupy.
func DiskUsage(dir string) (bytes float64, err error) { return diskUsage(dir) }

// Resident is the memory of this process that is resident, files that it has mapped included; 0
// if the system does not say.
func Resident() (bytes float64) {
	own, mapped, err := residentMiB()
	if err != nil {
		return 0
	}
	return (own + mapped) * (1 << 20)
}

func (r *runner) start(*Workload) (Sample, error) {
	elapsed, err := r.openAndRead()
	return Sample{Value: float64(elapsed) / 1e6, Wall: elapsed, Ops: 1}, err
}

func (r *runner) memoryAfterStart(*Workload) (Sample, error) {
	if _, err := r.openAndRead(); err != nil {
		return Sample{}, err
	}
	own, mapped, err := residentMiB()
	return Sample{Value: own + mapped, Ops: 1, Note: fmt.Sprintf("%.1f own, %.1f of files", own, mapped)}, err
}

// openAndRead opens the database and reads one entry.
func (r *runner) openAndRead() (time.Duration, error) {
	if err := r.release(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := r.open(r.dirOf(Entries), r.settings(&Workload{})); err != nil {
		return 0, err
	}
	r.at = Entries
	s, err := r.engine.NewSession()
	if err != nil {
		return 0, err
	}
	t := &task{session: s, data: r.data}
	err = t.read(uint64(r.data.entries) / 2)
	elapsed := time.Since(start)
	return elapsed, errors.Join(err, s.Close())
}
