package bench

import "fmt"

// reads get single entries out of a settled database that is in memory: a part of
// them is read before the clock starts.
var reads = []Workload{
	{Name: "readrandom", Data: Entries, Mix: Mix{Read: 100}, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
	{Name: "readrandom-2readers", Data: Entries, Mix: Mix{Read: 100}, Threads: 2, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
	{Name: "readzipfian", Data: Entries, Mix: Mix{Read: 100}, Chooser: Zipfian, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
	{Name: "readzipfian-2readers", Data: Entries, Mix: Mix{Read: 100}, Chooser: Zipfian, Threads: 2, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
	{Name: "readmissing", Data: Entries, Mix: Mix{Miss: 100}, Ops: allReads, TimeEvery: 8, run: (*runner).operate},
}

// read gets an entry and checks it.
func (t *task) read(entry uint64) error {
	l := t.data.ledger
	if l == nil || entry >= uint64(t.data.entries) {
		v, err := t.get(entry)
		if err != nil {
			return err
		}
		return t.data.checkAt(entry, v)
	}
	var seen acked
	l.before(entry, &seen)
	v, err := t.get(entry)
	if err != nil {
		return err
	}
	if !IsValue(v, t.data.valueSize, numberOf(entry)) {
		return fmt.Errorf("entry %d has a value that was never written: %.40x", entry, v)
	}
	return l.check(t.data, entry, generation(v), &seen)
}

func (t *task) get(entry uint64) ([]byte, error) {
	t.key = t.data.shape.AppendKey(t.key[:0], numberOf(entry))
	v, found, err := t.session.Get(t.key, t.value[:0])
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("entry %d is missing", entry)
	}
	t.value = v
	return v, nil
}

// miss asks for a key between those that are there.
func (t *task) miss(entry uint64) error {
	t.key = t.data.shape.AppendKey(t.key[:0], absentNear(entry))
	_, found, err := t.session.Get(t.key, t.value[:0])
	if found && err == nil {
		err = fmt.Errorf("key %x was never written", t.key)
	}
	return err
}
