package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/plant"
)

// A ValueFile describes one value file (lsm/vlog) and how much of it is in use.
type ValueFile struct {
	Num     FileNum
	Size    uint64 // of the file, in bytes
	Records uint64

	// Live is how many bytes of records the tables of the version point to. It is
	// not stored: it follows from the tables.
	Live uint64
}

// Garbage is how many bytes of the file nobody points to.
func (f ValueFile) Garbage() uint64 { return f.Size - f.Live }

// String prints "000012 5 records 5210/5400 bytes".
func (f ValueFile) String() string {
	return fmt.Sprintf("%s %d records %d/%d bytes", f.Num, f.Records, f.Live, f.Size)
}

// A ValueRef says how many bytes of records in a value file a table points to.
type ValueRef struct {
	File  FileNum
	Bytes uint64
}

// formatRefs prints " →000012:5210 →000013:17", or nothing.
func formatRefs(refs []ValueRef) string {
	var b strings.Builder
	for _, r := range refs {
		fmt.Fprintf(&b, " →%s:%d", r.File, r.Bytes)
	}
	return b.String()
}

// ValueFile returns the value file with a number.
func (v *Version) ValueFile(num FileNum) (f ValueFile, ok bool) {
	i, ok := v.FindValues(num)
	if !ok {
		return f, false
	}
	return v.Values[i], true
}

// FindValues returns the position of the value file with a number in Values.
func (v *Version) FindValues(num FileNum) (i int, ok bool) { return findValues(v.Values, num) }

func findValues(files []ValueFile, num FileNum) (i int, ok bool) {
	return slices.BinarySearchFunc(files, num, func(f ValueFile, num FileNum) int { return cmp.Compare(f.Num, num) })
}

// ValueBytes returns the size of all value files, and how much of it tables point to.
func (v *Version) ValueBytes() (size, live uint64) {
	for _, f := range v.Values {
		size += f.Size
		live += f.Live
	}
	return size, live
}

// applyValues returns the value files after an edit that takes some tables away and
// adds others. A file to which no table points any more is gone.
func applyValues(files, added []ValueFile, without []*Table, with []Added) ([]ValueFile, error) {
	if len(files)+len(added) == 0 && !pointAway(with) {
		return nil, nil
	}
	next := slices.Concat(files, added)
	for i := range added {
		next[len(files)+i].Live = 0
	}
	slices.SortFunc(next, func(a, b ValueFile) int { return cmp.Compare(a.Num, b.Num) })
	for i := 1; i < len(next); i++ {
		if next[i-1].Num == next[i].Num {
			return nil, fmt.Errorf("%w: value file %s is twice", errBadEdit, next[i].Num)
		}
	}
	for _, t := range without {
		for _, r := range t.Values {
			i, _ := findValues(next, r.File) // or the version before would have been refused
			next[i].Live -= r.Bytes
		}
	}
	for _, a := range with {
		for _, r := range a.Table.Values {
			i, ok := findValues(next, r.File)
			if !ok {
				return nil, fmt.Errorf("%w: table %s points into value file %s, which is not there", errBadEdit, a.Table.Num, r.File)
			}
			if next[i].Live += r.Bytes; next[i].Live > next[i].Size || next[i].Live < r.Bytes {
				return nil, fmt.Errorf("%w: tables point to %d bytes of value file %s", errBadEdit, next[i].Live, next[i])
			}
		}
	}
	for _, f := range added {
		if i, _ := findValues(next, f.Num); next[i].Live == 0 {
			return nil, fmt.Errorf("%w: no table points into the new value file %s", errBadEdit, f.Num)
		}
	}
	return slices.DeleteFunc(next, func(f ValueFile) bool { return f.Live == 0 || plant.On(plant.LiveValuesDropped) && f.Live < f.Size/2 }), nil
}

// pointAway reports whether any of the tables points into a value file.
func pointAway(tables []Added) bool {
	return slices.ContainsFunc(tables, func(a Added) bool { return len(a.Table.Values) > 0 })
}
