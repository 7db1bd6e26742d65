package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/txn"
)

// A RequestID names one command for good, so that a node that does not know what
// became of it may propose it again, through whatever leader: it is carried out
// once. The zero RequestID is none; commands of groups with one voter have none.
//
// Whoever makes ids counts Number up within one Node.
type RequestID struct {
	Node   uint64 // one life of a process; never 0
	Number uint64
}

// ErrFateUnknown refuses a repeated command of which the partition does not know any
// more whether it has carried it out, or with what result. This time it had no effect.
var ErrFateUnknown = errors.New("partition: fate of the request is unknown")

// A window remembers the latest requests with their results. It is a ring of
// records, one for each log entry that had any, kept in the store under the keys
// of the group and written in the batch of its entry; so it survives crashes and
// goes with snapshots. Integers are big-endian, but for uvarints.
//
//	+-----------+-------------+----------+-----------+---------------+-------------+
//	| format 1B | sequence 8B | first 8B | latest 8B | count uvarint | request ... |
//	+-----------+-------------+----------+-----------+---------------+-------------+
//
//	request: | node 8B | number uvarint | size uvarint | result |
//
// format is 1. sequence counts the records of a group from 1, and the key of a record has
// sequence mod windowRecords. first is the sequence of the oldest record that still
// counts, as of this one; older ones may lie there until their place is taken.
// latest is the greatest timestamp of the commands. A result (result.go) without
// bytes was too large to keep.
//
// What the ring has no room for leaves a floor for its node: the greatest number
// that was forgotten. A request that is not in the ring is new if its number is above
// the floor; else nobody knows, and it is refused. No clock is asked.
//
//	+-----------+-----------+-----------+
//	| format 1B | number 8B | latest 8B |   under the key of a node
//	+-----------+-----------+-----------+
//
// There are at most windowFloors of them. When one more is needed, the one with the
// least latest timestamp goes, and leaves that in the floor of node 0: from then on a
// request of a node without a floor must have a later timestamp.
//
// Which requests are remembered follows from the log alone, so replicas agree.
type window struct {
	loaded bool
	first  uint64   // sequence of the oldest record
	next   uint64   // sequence of the next record
	ring   [][]byte // grows up to windowRecords: most groups have few; see at
	bytes  int      // of all records
	ids    map[RequestID]windowPlace
	floors map[uint64]floor

	// The record of the current entry.
	pending struct {
		b      []byte // requests, one after the other
		count  int
		latest txn.Timestamp
		ids    map[RequestID]windowPlace // offsets in b
	}
}

// A windowPlace is where the result of a request lies.
type windowPlace struct {
	sequence uint64
	offset   int // in the record, of the size
}

type floor struct {
	number uint64
	latest txn.Timestamp
}

const (
	windowFormat byte = 1
	windowHeader      = 1 + 8 + 8 + 8

	maxWindowRecord = 256 << 10 // from which on an entry's record takes no more attributes
)

// A window covers some seconds of a busy group. Variables, for tests.
var (
	windowRecords    uint64 = 4096
	windowBytes             = 1 << 20
	windowFloors            = 256
	windowAttributes        = 4 << 10 // of one result, in bytes
)

// minRing is how many records a ring has room for at first.
const minRing = 16

// nodeOfFloors has the timestamp of the floors that are gone.
const nodeOfFloors = 0

func appendWindowKey(dst []byte, group, sequence uint64) []byte {
	return binary.BigEndian.AppendUint32(appendGroupKey(dst, group, partWindow), uint32(sequence%windowRecords))
}

func appendFloorKey(dst []byte, group, node uint64) []byte {
	return binary.BigEndian.AppendUint64(appendGroupKey(dst, group, partFloor), node)
}

// seen answers a request that was carried out before, or may have been.
func (w *window) seen(id RequestID, ts txn.Timestamp) (Result, bool) {
	if place, ok := w.pending.ids[id]; ok {
		return storedResult(w.pending.b[place.offset:]), true
	}
	if place, ok := w.ids[id]; ok {
		return storedResult((*w.at(place.sequence))[place.offset:]), true
	}
	f, ok := w.floors[id.Node]
	if ok && id.Number <= f.number || !ok && ts <= w.floors[nodeOfFloors].latest {
		return Result{Err: ErrFateUnknown}, true
	}
	return Result{}, false
}

// storedResult reads the result at the beginning of b, in memory of its own.
func storedResult(b []byte) Result {
	stored, _, ok := cutSized(b)
	if !ok || len(stored) == 0 {
		return Result{Err: ErrFateUnknown}
	}
	r, err := DecodeResult(slices.Clone(stored))
	if err != nil {
		return Result{Err: ErrFateUnknown}
	}
	return *r
}

// begin forgets what was noted for an entry.
func (w *window) begin() {
	p := &w.pending
	p.b, p.count, p.latest = p.b[:0], 0, 0
	clear(p.ids)
}

// note adds a request of the current entry.
func (w *window) note(id RequestID, ts txn.Timestamp, r *Result) {
	p := &w.pending
	if p.ids == nil {
		p.ids = make(map[RequestID]windowPlace)
	}
	p.b = binary.BigEndian.AppendUint64(p.b, id.Node)
	p.b = binary.AppendUvarint(p.b, id.Number)
	p.ids[id] = windowPlace{offset: len(p.b)}
	if n := r.attributeBytes(); n > windowAttributes || n > 0 && len(p.b) > maxWindowRecord {
		p.b = append(p.b, 0)
	} else {
		p.b = appendSized(p.b, r.Append(nil))
	}
	p.count++
	p.latest = max(p.latest, ts)
}

// stage puts the record of the current entry into the batch, and what has to go for
// it into floors. The window itself follows at once: if the batch fails, the
// partition is broken.
func (p *Partition) stageWindow() {
	w, s := &p.window, &p.scratch
	if w.pending.count == 0 {
		return
	}
	sequence := w.next
	record := make([]byte, 0, windowHeader+binary.MaxVarintLen32+len(w.pending.b))
	record = binary.BigEndian.AppendUint64(append(record, windowFormat), sequence)
	record = binary.BigEndian.AppendUint64(record, 0) // first
	record = binary.BigEndian.AppendUint64(record, uint64(w.pending.latest))
	record = binary.AppendUvarint(record, uint64(w.pending.count))
	at := len(record)
	record = append(record, w.pending.b...)

	floors := w.makeRoom(len(record))
	binary.BigEndian.PutUint64(record[9:], w.first)
	for _, node := range floors {
		s.value = w.floors[node].append(s.value[:0])
		s.batch.Set(appendFloorKey(nil, p.group, node), s.value)
	}
	for _, node := range w.limitFloors() {
		s.batch.Delete(appendFloorKey(nil, p.group, node))
		s.value = w.floors[nodeOfFloors].append(s.value[:0])
		s.batch.Set(appendFloorKey(nil, p.group, nodeOfFloors), s.value)
	}
	s.batch.Set(appendWindowKey(nil, p.group, sequence), record)
	w.add(record, sequence)
	for id, place := range w.pending.ids { //sim:ok only copies into another map
		w.ids[id] = windowPlace{sequence, at + place.offset}
	}
	w.begin()
}

func (w *window) add(record []byte, sequence uint64) {
	if live := sequence - w.first; live >= uint64(len(w.ring)) {
		grown := make([][]byte, min(max(2*live, minRing), windowRecords))
		for s := w.first; s < sequence; s++ {
			grown[s%uint64(len(grown))] = *w.at(s)
		}
		w.ring = grown
	}
	*w.at(sequence) = record
	w.bytes += len(record)
	w.next = sequence + 1
}

// at returns the place of a record.
func (w *window) at(sequence uint64) *[]byte { return &w.ring[sequence%uint64(len(w.ring))] }

// makeRoom forgets the oldest records if there are too many with one of so many bytes,
// some more than necessary so that floors are not written with each entry. It returns the
// nodes whose floors have risen, sorted.
func (w *window) makeRoom(bytes int) (risen []uint64) {
	if w.next-w.first < windowRecords && w.bytes+bytes <= windowBytes {
		return nil
	}
	for w.first < w.next && (w.next-w.first > windowRecords-windowRecords/64-1 || w.bytes+bytes > windowBytes-windowBytes/64) {
		record := *w.at(w.first)
		latest := txn.Timestamp(binary.BigEndian.Uint64(record[17:]))
		for id := range requestsOf(record) {
			f := w.floors[id.Node]
			if plant.On(plant.ForgottenRequestNew) {
				delete(w.ids, id)
				continue
			}
			w.floors[id.Node] = floor{max(f.number, id.Number), max(f.latest, latest)}
			if plant.On(plant.FloorFalls) {
				w.floors[id.Node] = floor{id.Number, max(f.latest, latest)}
			}
			risen = append(risen, id.Node)
			delete(w.ids, id)
		}
		*w.at(w.first) = nil
		if !plant.On(plant.WindowNeverSmaller) {
			w.bytes -= len(record)
		}
		w.first++
	}
	slices.Sort(risen)
	return slices.Compact(risen)
}

// limitFloors takes floors away that are too many and returns their nodes.
func (w *window) limitFloors() (gone []uint64) {
	_, has := w.floors[nodeOfFloors]
	for len(w.floors)-int(bit(has)) > windowFloors {
		oldest := uint64(nodeOfFloors)
		for _, node := range slices.Sorted(maps.Keys(w.floors)) { //sim:ok sorted
			if node != nodeOfFloors && (oldest == nodeOfFloors || w.floors[node].latest < w.floors[oldest].latest) {
				oldest = node
			}
		}
		f := w.floors[nodeOfFloors]
		w.floors[nodeOfFloors] = floor{latest: max(f.latest, w.floors[oldest].latest)}
		delete(w.floors, oldest)
		gone, has = append(gone, oldest), true
	}
	return gone
}

// requestsOf yields the requests of a sound record with the offsets of their results.
func requestsOf(record []byte) func(yield func(id RequestID, offset int) bool) {
	return func(yield func(RequestID, int) bool) {
		count, n := binary.Uvarint(record[windowHeader:])
		b := record[windowHeader+n:]
		for range count {
			id := RequestID{Node: binary.BigEndian.Uint64(b)}
			number, n := binary.Uvarint(b[8:])
			id.Number = number
			b = b[8+n:]
			if !yield(id, len(record)-len(b)) {
				return
			}
			_, b, _ = cutSized(b)
		}
	}
}

// checkWindowRecord verifies a stored record.
func checkWindowRecord(b []byte) bool {
	if len(b) < windowHeader || b[0] != windowFormat {
		return false
	}
	sequence, first := binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])
	if first == 0 || first > sequence || sequence-first >= windowRecords {
		return false
	}
	d := reader{b: b[windowHeader:]}
	for range d.count() {
		if d.fixed(); d.bad {
			return false
		}
		d.uint()
		if stored := d.sized(); len(stored) > 0 {
			if _, err := DecodeResult(stored); err != nil {
				return false
			}
		}
	}
	return d.done()
}

func (f floor) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, windowFormat), f.number)
	return binary.BigEndian.AppendUint64(dst, uint64(f.latest))
}

const floorBytes = 1 + 8 + 8

// loadWindow reads the window if that has not happened yet: the first request after
// a start does, so that groups without any cost nothing.
func (p *Partition) loadWindow() error {
	if p.window.loaded {
		return nil
	}
	err := p.window.load(p.db, p.group)
	p.window.loaded = err == nil
	return err
}

// load reads the window of a group.
func (w *window) load(from source, group uint64) error {
	w.first, w.next, w.bytes, w.ring = 1, 1, 0, nil
	w.ids, w.floors = make(map[RequestID]windowPlace), make(map[uint64]floor)
	records := make(map[uint64][]byte)
	err := eachGroupKey(from, group, partWindow, func(_, value []byte) error {
		if !checkWindowRecord(value) {
			return fmt.Errorf("%w: requests in %d bytes", ErrFormat, len(value))
		}
		sequence := binary.BigEndian.Uint64(value[1:])
		records[sequence] = slices.Clone(value)
		if sequence >= w.next {
			w.first, w.next = binary.BigEndian.Uint64(value[9:]), sequence+1
		}
		return nil
	})
	if err != nil {
		return err
	}
	for sequence, next := w.first, w.next; sequence < next; sequence++ {
		record := records[sequence]
		if record == nil {
			return fmt.Errorf("partition %d: %w: requests %d are missing", group, ErrFormat, sequence)
		}
		w.add(record, sequence)
		for id, offset := range requestsOf(record) {
			w.ids[id] = windowPlace{sequence, offset}
		}
	}
	return eachGroupKey(from, group, partFloor, func(key, value []byte) error {
		if len(key) != 8 || len(value) != floorBytes || value[0] != windowFormat {
			return fmt.Errorf("%w: floor of %d bytes", ErrFormat, len(value))
		}
		w.floors[binary.BigEndian.Uint64(key)] = floor{binary.BigEndian.Uint64(value[1:]), txn.Timestamp(binary.BigEndian.Uint64(value[9:]))}
		return nil
	})
}

// eachGroupKey calls f with the rest of each key of one part of the group's state, and
// its value; both are valid during the call.
func (p *Partition) eachGroupKey(part byte, f func(key, value []byte) error) error {
	return eachGroupKey(p.db, p.group, part, f)
}

func eachGroupKey(from source, group uint64, part byte, f func(key, value []byte) error) error {
	lower := appendGroupKey(nil, group, part)
	err := eachPair(from, lower, appendGroupKey(nil, group, part+1), func(key, value []byte) error { return f(key[len(lower):], value) })
	if err != nil {
		return fmt.Errorf("partition %d: read part %d of its state: %w", group, part, err)
	}
	return nil
}
