package table

import (
	"encoding/binary"
	"fmt"
)

// An indexPlace is what the catalog keeps of a global index beside its
// definition: where its entries are and whether they can be read.
type indexPlace struct {
	id     uint32 // in the row keys of the entries, like a table id; 0 = not assigned yet
	status indexStatus
	slots  []slot // of the index's own partitions, by first
}

type indexStatus byte

const (
	indexActive   indexStatus = 1
	indexCreating indexStatus = 2 // the items of the table are being brought to it
	indexDeleting indexStatus = 3 // groups and entries may remain
)

// shown returns the status as DescribeTable shows it.
func (s indexStatus) shown() string {
	switch s {
	case indexCreating:
		return StatusCreating
	case indexDeleting:
		return StatusDeleting
	}
	return StatusActive
}

// indexStatus returns the status of a global index as DescribeTable shows it.
func (r *record) indexStatus(i int) string {
	if r.status != recordActive {
		return r.status.String()
	}
	return r.places[i].status.shown()
}

// building reports whether an index is being created or deleted.
func (r *record) building() bool {
	for i := range r.places {
		if r.places[i].status != indexActive {
			return true
		}
	}
	return false
}

// groups returns the ids of all groups of a table and its indexes, and of those that are
// being split off.
func (r *record) groups() (ids []uint64) {
	ids = groupsOf(r.slots)
	for i := range r.places {
		ids = append(ids, groupsOf(r.places[i].slots)...)
	}
	return ids
}

// places writes the part of a record that has the places of global indexes:
//
//	count, for each: id, status 1B, slots
func (w *writer) places(list []indexPlace) {
	w.uint(uint64(len(list)))
	for i := range list {
		w.uint(uint64(list[i].id))
		w.byte(byte(list[i].status))
		w.slots(list[i].slots)
	}
}

func (d *reader) places() (list []indexPlace) {
	for range d.count() {
		list = append(list, indexPlace{id: uint32(d.uint()), status: indexStatus(d.byte()), slots: d.slots()})
	}
	return list
}

func (w *writer) slots(list []slot) {
	w.uint(uint64(len(list)))
	for _, s := range list {
		w.b = binary.LittleEndian.AppendUint64(w.b, s.first)
		w.uint(s.group)
	}
}

func (d *reader) slots() (list []slot) {
	for range d.count() {
		list = append(list, slot{first: d.fixed(), group: d.uint()})
	}
	return list
}

// checkPlaces verifies the places of a stored record. In one from before there
// were any, the global indexes have none and are to be built.
func (r *record) checkPlaces() error {
	for len(r.places) < len(r.def.GlobalIndexes) {
		r.places = append(r.places, indexPlace{status: indexCreating})
	}
	if len(r.places) > len(r.def.GlobalIndexes) {
		return fmt.Errorf("%w: index places", errRecord)
	}
	for i := range r.places {
		p := &r.places[i]
		if p.status < indexActive || p.status > indexDeleting || len(p.slots) == 0 && (p.status != indexCreating || p.id != 0) {
			return fmt.Errorf("%w: status of index %d", errRecord, i)
		}
		if len(p.slots) > 0 {
			if err := checkSlots(p.slots); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkSlots(slots []slot) error {
	if len(slots) == 0 || slots[0].first != 0 {
		return fmt.Errorf("%w: hash ranges", errRecord)
	}
	for i := 1; i < len(slots); i++ {
		if slots[i].first <= slots[i-1].first {
			return fmt.Errorf("%w: hash ranges", errRecord)
		}
	}
	return nil
}
