package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A runner does workloads on one engine. It is what lives in a worker process.
//
// It keeps one database open at a time: that of the data that the last workload
// worked on.
type runner struct {
	config Config
	opener Opener
	dir    string // of all databases of this engine
	round  int

	engine Engine
	at     Data
	opened int          // databases made for workloads that want an empty one
	reopen func() error // closes and opens what is open

	data   *dataset // of the engine, unless it began empty
	loaded *loaded
	sets   map[Data]*set

	// These wait until the engine's background work has come to an end, and bring
	// what is in the page cache to the disk. Tests have no time for either.
	awaitIdle, syncDisk func()

	overwritten      int // entries of Entries, each time counted
	beforeOverwrites written
}

// A set is a data set that was loaded.
type set struct {
	data   *dataset
	loaded loaded
}

func newRunner(c Config, o Opener, dir string) *runner {
	return &runner{config: c, opener: o, dir: dir, sets: map[Data]*set{}, awaitIdle: awaitIdle, syncDisk: syncDisk}
}

func newDataset(shape Shape, entries, valueSize int) *dataset {
	d := &dataset{shape: shape, entries: entries, valueSize: valueSize, every: 2}
	d.growth.idle()
	return d
}

func (r *runner) newDataset(at Data) *dataset {
	if at == Entries || at == Faceted {
		d := newDataset(r.config.Shape, r.config.Entries, r.config.ValueBytes)
		if at == Faceted {
			d.every = 20
		}
		return d
	}
	shape := r.config.Shape
	if shape.inOrder() {
		shape = Hashed // so do YCSB's keys
	}
	return newDataset(shape, r.config.Records, r.config.RecordBytes)
}

func (r *runner) dirOf(at Data) string { return filepath.Join(r.dir, string(at)) }

// attach takes a data set for loaded that another process has loaded.
func (r *runner) attach(at Data) {
	if r.sets[at] == nil {
		r.sets[at] = &set{data: r.newDataset(at)}
	}
	r.data, r.loaded = r.sets[at].data, &r.sets[at].loaded
}

// do runs a workload once.
func (r *runner) do(w *Workload, round int) (Sample, error) {
	r.round = round
	if w.Data == Empty {
		return r.doEmpty(w)
	}
	if !w.Fresh {
		if err := r.prepare(w.Data); err != nil {
			return Sample{}, err
		}
	} else {
		r.attach(w.Data)
	}
	s, err := w.run(r, w)
	if w.Mix.writes() || w.Group != "" {
		r.syncDisk()
	}
	return s, err
}

func (r *runner) doEmpty(w *Workload) (s Sample, err error) {
	if err := r.release(); err != nil {
		return s, err
	}
	r.opened++
	dir := r.dirOf(Data(fmt.Sprint(Empty, "-", r.opened)))
	if err := r.open(dir, r.settings(w)); err != nil {
		return s, err
	}
	s, err = w.run(r, w)
	err = errors.Join(err, r.release(), os.RemoveAll(dir))
	r.syncDisk()
	return s, err
}

func (r *runner) settings(w *Workload) Settings {
	return Settings{
		MemoryBytes: r.config.MemoryBytes, Compression: r.config.Compression,
		Durable: w.Durable, Faceted: w.Data == Faceted, Writers: w.threads(),
	}
}

func (r *runner) open(dir string, s Settings) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	e, err := r.opener.Open(dir, s)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	r.engine, r.reopen = e, func() error {
		if err := r.release(); err != nil {
			return err
		}
		return r.open(dir, s)
	}
	return nil
}

// release closes the database.
func (r *runner) release() error {
	if r.engine == nil {
		return nil
	}
	err := r.engine.Close()
	r.engine, r.at = nil, ""
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// prepare opens the data set, after loading it if need be.
func (r *runner) prepare(at Data) error {
	if r.at == at {
		return nil
	}
	if err := r.release(); err != nil {
		return err
	}
	isNew := r.sets[at] == nil
	if err := r.open(r.dirOf(at), r.settings(&Workload{Data: at, Threads: ledgerWriters})); err != nil {
		return err
	}
	r.attach(at)
	r.at = at
	if !isNew {
		return nil
	}
	if err := r.load(); err != nil {
		r.at = ""
		delete(r.sets, at)
		return errors.Join(fmt.Errorf("load %s: %w", at, err), r.release(), os.RemoveAll(r.dirOf(at)))
	}
	return nil
}

// drop forgets a data set and removes it from the disk.
func (r *runner) drop(at Data) error {
	var err error
	if r.at == at {
		err = r.release()
	}
	delete(r.sets, at)
	return errors.Join(err, os.RemoveAll(r.dirOf(at)))
}

// loadBatch is how many entries one commit of a load writes.
const loadBatch = 100

// load writes the data set in random order, waits for the end of whatever that set
// in motion, and settles it.
func (r *runner) load() error {
	before := writtenBytes()
	if err := r.writeAll(); err != nil {
		return err
	}
	r.awaitIdle()
	r.loaded.written = writtenBytes().minus(before)
	bytes, err := diskUsage(r.dirOf(r.at))
	if err != nil {
		return err
	}
	r.loaded.space = bytes / r.data.rawBytes()
	if err := r.engine.Settle(); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	r.awaitIdle()
	if bytes, err = diskUsage(r.dirOf(r.at)); err != nil {
		return err
	}
	r.loaded.settled = bytes / r.data.rawBytes()
	r.syncDisk()
	return nil
}

func (r *runner) writeAll() error {
	s, err := r.engine.NewSession()
	if err != nil {
		return err
	}
	t := &task{session: s, data: r.data}
	order := NewPermutation(r.data.entries, 2)
	for i := range uint64(r.data.entries) {
		t.set(order.At(i), 0)
		if (i+1)%loadBatch != 0 && i+1 != uint64(r.data.entries) {
			continue
		}
		if err := t.commit(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}
