package compaction

import (
	"cmp"
	"slices"

	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/vlog"
)

// A ValuePolicy decides which value files are emptied: what tables still point to in
// them is moved to new files, so that the garbage goes with the old.
//
// A compaction that passes over a pointer into such a file moves the value: it writes
// the table anyway. Only where that does not suffice are tables rewritten for nothing
// else. Of all files those with the most garbage for each byte are emptied first;
// each byte moved then frees the most.
type ValuePolicy struct {
	// Amplification is how many bytes of records value files may have for each byte
	// that tables point to. Below 1: any number.
	Amplification float64
}

// passing is at what part of the garbage allowed compactions begin to empty what they
// pass over. The rest is there for garbage to gather until one comes along.
const passing = 0.75

// garbage returns how many bytes of the records of a file nobody points to.
func garbage(f manifest.ValueFile) uint64 { return f.Garbage() - min(f.Garbage(), vlog.FooterBytes) }

// excess returns by how many bytes the garbage of all files is above some part of what is
// allowed; 0 or less if it is not.
func (p ValuePolicy) excess(v *manifest.Version, part float64) int64 {
	if p.Amplification < 1 {
		return 0
	}
	var all, live uint64
	for _, f := range v.Values {
		all += garbage(f)
		live += f.Live
	}
	return int64(all) - int64(part*(p.Amplification-1)*float64(live))
}

// Condemned returns the files to be emptied, ascending by number.
//
// It depends on the version alone, and does not waver: while a file is being emptied its
// part of garbage rises, so it stays in front.
func (p ValuePolicy) Condemned(v *manifest.Version, usable func(manifest.FileNum) bool) []manifest.FileNum {
	excess := p.excess(v, passing)
	if excess <= 0 {
		return nil
	}
	files := slices.DeleteFunc(slices.Clone(v.Values), func(f manifest.ValueFile) bool {
		return garbage(f) == 0 || !usable(f.Num)
	})
	slices.SortFunc(files, func(a, b manifest.ValueFile) int {
		return cmp.Or(
			cmp.Compare(float64(garbage(b))/float64(b.Size), float64(garbage(a))/float64(a.Size)),
			cmp.Compare(a.Num, b.Num))
	})
	var condemned []manifest.FileNum
	for _, f := range files {
		if excess <= 0 {
			break
		}
		excess -= int64(garbage(f))
		condemned = append(condemned, f.Num)
	}
	slices.Sort(condemned)
	return condemned
}

// worthwhile is how many bytes of tables may be rewritten for each byte of garbage that
// goes with it.
const worthwhile = 4

// Overdue returns the table to be rewritten because compactions do not pass over the
// condemned files often enough: the one that points to most of what is in them; or nil.
//
// Tables of level 0 come last: they were flushed not long ago and, with most policies, are
// merged soon.
func (p ValuePolicy) Overdue(v *manifest.Version, condemned []manifest.FileNum, usable Usable) (level int, t *manifest.Table) {
	if len(condemned) == 0 || p.excess(v, 1) <= 0 {
		return 0, nil
	}
	freed, cost, most := uint64(0), uint64(0), uint64(0)
	for _, num := range condemned {
		f, _ := v.ValueFile(num)
		freed += garbage(f)
	}
	for l := lastLevel; l >= 0; l-- {
		if l == 0 && t != nil {
			break
		}
		for _, table := range v.Levels[l] {
			n := pointsInto(table, condemned)
			if n == 0 || !usable(table) {
				continue
			}
			cost += table.Size
			if n > most {
				level, t, most = l, table, n
			}
		}
	}
	if cost > worthwhile*freed {
		return 0, nil
	}
	return level, t
}

// pointsInto returns how many bytes in the files a table points to.
func pointsInto(t *manifest.Table, files []manifest.FileNum) (n uint64) {
	for _, r := range t.Values {
		if _, found := slices.BinarySearch(files, r.File); found {
			n += r.Bytes
		}
	}
	return n
}
