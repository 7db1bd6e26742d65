package bench

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Mix says how many of 100 operations are of which kind.
type Mix struct {
	Read   int
	Miss   int // read a key that is not there
	Update int
	Insert int // behind the loaded entries
	Modify int // read, then update
	Scan   int

	ScanLength int // entries of a scan; default from 1 to 100, evenly
}

type operation uint8

const (
	opRead operation = iota
	opMiss
	opUpdate
	opInsert
	opModify
	opScan
)

// pick returns the operation for a number in [0, 100).
func (m *Mix) pick(n int) operation {
	for op, share := range []int{m.Read, m.Miss, m.Update, m.Insert, m.Modify, m.Scan} {
		if n -= share; n < 0 {
			return operation(op)
		}
	}
	return opRead
}

func (m *Mix) writes() bool { return m.Update+m.Insert+m.Modify > 0 }

// operations are what a task is going to do. They are drawn before the clock starts.
type operations struct {
	kinds   []operation
	choices []uint64
	lengths []uint8 // of scans
}

func (w *Workload) draw(d *dataset, seed uint64, n int) operations {
	r := rand.New(rand.NewPCG(seed, 7))
	o := operations{make([]operation, n), w.Chooser.choices(r, d.entries, n), make([]uint8, n)}
	for i := range n {
		o.kinds[i] = w.Mix.pick(r.IntN(100))
		if o.lengths[i] = uint8(w.Mix.ScanLength); w.Mix.ScanLength == 0 {
			o.lengths[i] = uint8(1 + r.IntN(100))
		}
	}
	return o
}

// operate does what the mix says, after reading a quarter as many entries.
func (r *runner) operate(w *Workload) (Sample, error) {
	d := r.data
	if w.Mix.writes() {
		d.withLedger()
	}
	tasks, err := r.tasks(w, d, w.Ops(r.config))
	if err != nil {
		return Sample{}, err
	}
	todo := make([]operations, len(tasks))
	for i, t := range tasks {
		todo[i] = w.draw(d, uint64(1000*r.round+i), t.ops)
		if err := t.warmUp(w, d, uint64(1000*r.round+i+500)); err != nil {
			return Sample{}, errorsAnd(err, tasks)
		}
	}
	return r.clock(w, tasks, func(t *task, i int) error {
		o := &todo[t.id]
		return t.do(w, o.kinds[i], o.choices[i], int(o.lengths[i]))
	})
}

func (t *task) warmUp(w *Workload, d *dataset, seed uint64) error {
	for _, choice := range w.Chooser.choices(rand.New(rand.NewPCG(seed, 8)), d.entries, (t.ops+3)/4) {
		if err := t.read(choice); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) do(w *Workload, op operation, choice uint64, length int) error {
	entry := choice
	if w.Chooser == Latest {
		entry = uint64(t.data.entries) + t.data.growth.acknowledged() - 1 - choice
	}
	switch op {
	case opRead:
		return t.read(entry)
	case opMiss:
		return t.miss(entry)
	case opUpdate:
		return t.update(entry)
	case opInsert:
		return t.insert()
	case opModify:
		if err := t.read(entry); err != nil {
			return err
		}
		return t.update(entry)
	default:
		return t.scan(entry, length)
	}
}

func (t *task) update(entry uint64) error {
	l := t.data.ledger
	t.set(entry, l.next(t.id, entry))
	if err := t.commit(); err != nil {
		return err
	}
	l.wrote(t.id, entry)
	return nil
}

func (t *task) insert() error {
	g := &t.data.growth
	n := g.begin(t.id)
	t.set(uint64(t.data.entries)+n, 0)
	if err := t.commit(); err != nil {
		return err
	}
	g.end(t.id)
	return nil
}

// overwrites change half of the entries, in random order, and read while whatever
// that set in motion is still going on.
var overwrites = []Workload{
	{Name: "overwrite", Data: Entries, Group: "overwrite", run: (*runner).overwrite},
	{Name: "readrandom-unsettled", Data: Entries, Group: "overwrite", Mix: Mix{Read: 100}, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
}

// maxPasses is how often overwrite may run on one data set.
const maxPasses = ledgerBase - 1

func (r *runner) overwrite(w *Workload) (Sample, error) {
	d := r.data
	pass := d.passes + 1
	if pass > maxPasses || d.ledger != nil {
		return Sample{}, fmt.Errorf("the data was overwritten %d times already", d.passes)
	}
	if r.at == Entries {
		r.beginOverwriting()
	}
	order, next := NewPermutation(d.entries, uint64(pass)+10), uint64(0)
	var todo []uint64
	for ; next < uint64(d.entries); next++ {
		if entry := order.At(next); d.inPass(entry, pass) {
			todo = append(todo, entry)
		}
	}
	tasks, err := r.tasks(w, d, len(todo))
	if err != nil {
		return Sample{}, err
	}
	step := func(t *task, i int) error {
		t.set(todo[i], pass)
		return t.commit()
	}
	rest := func(t *task) error { // what the time limit left
		for i := t.done; i < t.ops; i++ {
			if err := step(t, i); err != nil {
				return err
			}
		}
		return nil
	}
	s, err := r.clockThen(w, tasks, step, rest)
	d.passes = pass
	if r.at == Entries {
		r.overwritten += len(todo)
	}
	return s, err
}

// readsWhileWriting read while a paced writer overwrites. What counts is how long
// the slow reads take.
var readsWhileWriting = []Workload{
	{Name: "readwhilewriting", Data: Entries, Mix: Mix{Read: 100}, Ops: allReads, Unit: NanosP99, run: (*runner).readWhileWriting},
}

// pacedWrites is how many commits a second the writer of readwhilewriting makes,
// evenly over each millisecond.
const pacedWrites = 20_000

func (r *runner) readWhileWriting(w *Workload) (Sample, error) {
	r.beginOverwriting()
	r.data.withLedger()
	session, err := r.engine.NewSession()
	if err != nil {
		return Sample{}, err
	}
	writer := &task{session: session, data: r.data}
	var stop atomic.Bool
	var failed error
	var wg sync.WaitGroup
	start := time.Now()
	wg.Go(func() { failed = writer.overwritePaced(&stop) })
	s, err := r.operate(w)
	stop.Store(true)
	wg.Wait()
	rate := float64(writer.done) / time.Since(start).Seconds()
	r.overwritten += writer.done
	s.Note = fmt.Sprintf("%.0f of %d overwrites/s", rate, pacedWrites)
	if err == nil {
		err = failed
	}
	if e := session.Close(); err == nil {
		err = e
	}
	return s, err
}

// overwritePaced keeps to the rate on average: it catches up after a stall.
func (t *task) overwritePaced(stop *atomic.Bool) error {
	rnd := rand.New(rand.NewPCG(5, 6))
	start := time.Now()
	for !stop.Load() {
		due := int(time.Since(start).Seconds() * pacedWrites)
		for ; t.done < due && !stop.Load(); t.done++ {
			if err := t.update(rnd.Uint64N(uint64(t.data.entries))); err != nil {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}
