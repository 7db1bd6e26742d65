package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// scans walk over a settled database that is in memory.
var scans = []Workload{
	{Name: "seek+10", Data: Entries, Mix: Mix{Scan: 100, ScanLength: 10}, Ops: perReads(5), run: (*runner).operate},
	{Name: "seek+100", Data: Entries, Mix: Mix{Scan: 100, ScanLength: 100}, Ops: perReads(20), run: (*runner).operate},
	{Name: "scan-forward", Data: Entries, run: func(r *runner, w *Workload) (Sample, error) { return r.scanAll(w, false) }},
	{Name: "scan-reverse", Data: Entries, run: func(r *runner, w *Workload) (Sample, error) { return r.scanAll(w, true) }},
}

// scan reads up to n entries from one on and checks each, and that none is left out.
func (t *task) scan(from uint64, n int) error {
	d := t.data
	t.key = d.shape.AppendKey(t.key[:0], numberOf(from))
	var failed error
	at := from
	last := t.value[:0]
	got, err := t.session.Scan(t.key, false, n, func(k, v []byte) {
		if failed != nil {
			return
		}
		if d.shape.inOrder() {
			if t.other = d.shape.AppendKey(t.other[:0], numberOf(at)); !bytes.Equal(k, t.other) {
				failed = fmt.Errorf("scan from entry %d: key %x instead of %x", from, k, t.other)
				return
			}
			failed = d.checkAt(at, v)
			at++
			return
		}
		if bytes.Compare(k, last) <= 0 || bytes.Compare(k, t.key) < 0 {
			failed = fmt.Errorf("scan from entry %d: key %x after %x", from, k, last)
			return
		}
		last = append(last[:0], k...)
		failed = d.checkScanned(k, v)
	})
	t.value = last
	if err != nil {
		return err
	}
	if want := min(n, int(uint64(d.entries)-min(from, uint64(d.entries)))); failed == nil && d.shape.inOrder() && got < want {
		return fmt.Errorf("scan from entry %d: %d instead of %d entries", from, got, want)
	}
	return failed
}

// scanRounds is how often a sample goes over all entries.
const scanRounds = 2

// scanAll goes over all entries. Before the clock starts each is checked; while it
// runs, a sum over keys and values tells that the same is read again.
func (r *runner) scanAll(w *Workload, reverse bool) (Sample, error) {
	d := r.data
	want, sum, err := r.readAll(d)
	if err != nil {
		return Sample{}, err
	}
	if want != d.entries {
		return Sample{}, fmt.Errorf("%d of %d entries are there", want, d.entries)
	}
	tasks, err := r.tasks(w, d, scanRounds)
	if err != nil {
		return Sample{}, err
	}
	s, err := r.clock(w, tasks, func(t *task, i int) error {
		again := uint64(0)
		n, err := t.session.Scan(nil, reverse, want+1, func(k, v []byte) { again += checksum(k, v) })
		if err == nil && (n != want || again != sum) {
			err = fmt.Errorf("scan saw %d of %d entries; sum %x instead of %x", n, want, again, sum)
		}
		return err
	})
	s.per(want * s.Ops)
	return s, err
}

// checksum touches the last bytes of both.
func checksum(k, v []byte) uint64 {
	if len(k) < 8 || len(v) < 8 {
		return 0
	}
	return spread(binary.LittleEndian.Uint64(k[len(k)-8:])) ^ binary.LittleEndian.Uint64(v[len(v)-8:])
}

// readAll reads all there is in order, checks each entry and returns how many there
// are and the sum of their checksums.
func (r *runner) readAll(d *dataset) (n int, sum uint64, err error) {
	return r.readAllThen(d, func(k, v []byte) {})
}

// readAllThen is readAll that visits each entry that was checked.
func (r *runner) readAllThen(d *dataset, visit func(k, v []byte)) (n int, sum uint64, err error) {
	s, err := r.engine.NewSession()
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	var failed error
	var last []byte
	n, err = s.Scan(nil, false, math.MaxInt, func(k, v []byte) {
		if failed != nil {
			return
		}
		if failed = d.checkScanned(k, v); failed == nil && bytes.Compare(k, last) <= 0 {
			failed = fmt.Errorf("scan: key %x after %x", k, last)
		}
		if failed != nil {
			return
		}
		last = append(last[:0], k...)
		sum += checksum(k, v)
		visit(k, v)
	})
	if err == nil {
		err = failed
	}
	return n, sum, err
}
