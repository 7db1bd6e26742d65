package manifest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// pointing returns a table that points into value files.
func pointing(num FileNum, start, end string, refs ...ValueRef) *Table {
	t := table(num, start, end, 1, 5)
	t.Values = refs
	return t
}

// valueEdits tell the life of two value files.
func valueEdits() []*Edit {
	return []*Edit{
		{NextFile: 10, FlushedSeq: 5,
			Added:  []Added{{1, pointing(3, "a", "c", ValueRef{2, 600})}, {1, pointing(5, "d", "f", ValueRef{2, 300}, ValueRef{4, 1})}},
			Values: []ValueFile{{Num: 2, Size: 1000, Records: 9}, {Num: 4, Size: 1 << 40, Records: 1 << 30}}},
		{Deleted: []Deleted{{1, 3}}, Added: []Added{{2, pointing(3, "a", "c", ValueRef{2, 600})}}}, // a move
		{Deleted: []Deleted{{2, 3}}, Added: []Added{{2, pointing(6, "a", "b", ValueRef{2, 500})}}},
		{Deleted: []Deleted{{1, 5}}, Added: []Added{{1, pointing(7, "d", "e", ValueRef{2, 100})}}},
		{Deleted: []Deleted{{2, 6}, {1, 7}}},
	}
}

// What is in use of a value file follows from the tables, and a file without use goes
// with the last table that pointed into it.
func TestValueFiles(t *testing.T) {
	fs := vfs.NewMem()
	m, err := Create(fs, Options{RotateBytes: 1}, State{})
	must(t, err)
	for i, want := range []string{
		"[000002 9 records 900/1000 bytes 000004 1073741824 records 1/1099511627776 bytes]",
		"[000002 9 records 900/1000 bytes 000004 1073741824 records 1/1099511627776 bytes]",
		"[000002 9 records 800/1000 bytes 000004 1073741824 records 1/1099511627776 bytes]",
		"[000002 9 records 600/1000 bytes]",
		"[]",
	} {
		state, err := m.Append(valueEdits()[i])
		must(t, err)
		if got := fmt.Sprint(state.Version.Values); got != want {
			t.Errorf("after %s\n%s\nwant\n%s", valueEdits()[i], got, want)
		}
		must(t, m.Close())
		m = mustOpen(t, fs, Options{RotateBytes: 1})
		if got := describe(m.State()); got != describe(state) {
			t.Errorf("after reopening\n%swant\n%s", got, describe(state))
		}
	}
}

func TestBadValueEditsAreRefused(t *testing.T) {
	m, err := Create(vfs.NewMem(), Options{}, State{})
	must(t, err)
	state, err := m.Append(valueEdits()[0])
	must(t, err)
	file := ValueFile{Num: 8, Size: 100, Records: 1}
	for name, e := range map[string]*Edit{
		"points into no file":          {Added: []Added{{3, pointing(8, "a", "b", ValueRef{3, 1})}}},
		"points to more than there is": {Added: []Added{{3, pointing(8, "a", "b", ValueRef{2, 101})}}},
		"points to very much":          {Added: []Added{{3, pointing(8, "a", "b", ValueRef{2, 1<<64 - 1})}}},
		"adds a file for nobody":       {Values: []ValueFile{file}},
		"adds a file twice":            {Added: []Added{{3, pointing(9, "a", "b", ValueRef{8, 1})}}, Values: []ValueFile{file, file}},
		"adds a file that is there":    {Added: []Added{{3, pointing(9, "a", "b", ValueRef{2, 1})}}, Values: []ValueFile{{Num: 2, Size: 9, Records: 1}}},
		"uses a number not given out":  {Added: []Added{{3, pointing(9, "a", "b", ValueRef{10, 1})}}, Values: []ValueFile{{Num: 10, Size: 9, Records: 1}}},
	} {
		if _, err := m.Append(e); !errors.Is(err, errBadEdit) {
			t.Errorf("an edit that %s: %v", name, err)
		}
	}
	if m.Err() != nil || describe(m.State()) != describe(state) {
		t.Error("a refused edit changed something")
	}
}
