package bench

import "fmt"

// An Order is in which a fill writes its entries.
type Order string

// The orders.
const (
	Ascending Order = "ascending"
	Scattered Order = "scattered"
)

// fills write all entries into an empty database. Commits reach the operating
// system but are not synced.
var fills = []Workload{
	{Name: "fillseq", Data: Empty, Order: Ascending, Ops: allEntries, run: (*runner).fill},
	{Name: "fillseq-batch100", Data: Empty, Order: Ascending, Batch: 100, Ops: allEntries, run: (*runner).fill},
	{Name: "fillrandom", Data: Empty, Order: Scattered, Ops: allEntries, run: (*runner).fill},
	{Name: "fillrandom-2writers", Data: Empty, Order: Scattered, Threads: 2, Ops: allEntries, run: (*runner).fill},
	{Name: "fillrandom-batch100", Data: Empty, Order: Scattered, Batch: 100, Ops: allEntries, run: (*runner).fill},
	{Name: "fillrandom-batch100-2writers", Data: Empty, Order: Scattered, Batch: 100, Threads: 2, Ops: allEntries, run: (*runner).fill},
}

// fill lets each of n threads write every n-th of the entries, and then reads all.
// Percentiles are of commits.
func (r *runner) fill(w *Workload) (Sample, error) {
	entries, batch, threads := w.Ops(r.config), w.batch(), w.threads()
	shape := r.config.Shape
	if w.Order == Ascending && !shape.inOrder() {
		shape = Counter
	}
	d := newDataset(shape, entries, r.config.ValueBytes)
	order := NewPermutation(entries, 1)
	tasks, err := r.tasks(w, d, entries)
	if err != nil {
		return Sample{}, err
	}
	for _, t := range tasks {
		t.steps = (t.ops + batch - 1) / batch
	}
	s, err := r.clock(w, tasks, func(t *task, i int) error {
		for j := i * batch; j < min(t.ops, (i+1)*batch); j++ {
			entry := uint64(j*threads + t.id)
			if w.Order == Scattered {
				entry = order.At(entry)
			}
			t.set(entry, 0)
		}
		return t.commit()
	})
	if err != nil {
		return s, err
	}
	written := 0
	for _, t := range tasks {
		written += min(t.ops, t.done*batch)
	}
	s.per(written)
	return s, r.verify(d, written, w.Durable)
}

// verify reads all there is. After durable commits it does so in a database that
// was opened again.
func (r *runner) verify(d *dataset, want int, reopen bool) error {
	if reopen {
		if err := r.reopen(); err != nil {
			return err
		}
	}
	got, _, err := r.readAll(d)
	if err == nil && got != want {
		err = fmt.Errorf("%d of %d entries are there", got, want)
	}
	return err
}
