package vfs

import (
	"errors"
	"testing"
)

// Every method asks the hook, and fails with its error.
func TestInjectFailsEveryCall(t *testing.T) {
	boom := errors.New("boom")
	var failing OpKind
	mem := NewMem()
	write(t, mem, "f", "data")
	fs := NewInject(mem, func(op Op) error {
		if op.Kind == failing {
			return boom
		}
		return nil
	})
	f, err := fs.Open("f")
	must(t, err)
	m, err := f.Map()
	must(t, err)
	calls := map[OpKind]func() error{
		OpCreate:      func() error { _, err := fs.Create("g"); return err },
		OpOpen:        func() error { _, err := fs.Open("f"); return err },
		OpRemove:      func() error { return fs.Remove("f") },
		OpRename:      func() error { return fs.Rename("f", "g") },
		OpLink:        func() error { return fs.Link("f", "g") },
		OpList:        func() error { _, err := fs.List(""); return err },
		OpMkdirAll:    func() error { return fs.MkdirAll("d") },
		OpSyncDir:     func() error { return fs.SyncDir("") },
		OpUsage:       func() error { _, _, err := fs.Usage(); return err },
		OpRead:        func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		OpWrite:       func() error { _, err := f.WriteAt([]byte("X"), 0); return err },
		OpSync:        f.Sync,
		OpSize:        func() error { _, err := f.Size(); return err },
		OpTruncate:    func() error { return f.Truncate(0) },
		OpPreallocate: func() error { return f.Preallocate(9) },
		OpMap:         func() error { _, err := f.Map(); return err },
		OpView:        func() error { _, err := m.View(0, 1); return err },
		OpClose:       f.Close,
	}
	for kind, call := range calls {
		failing = kind
		if err := call(); err != boom {
			t.Errorf("%s = %v, want the hook's error", kind, err)
		}
	}
	if names, _ := mem.List(""); len(names) != 1 || read(t, mem, "f") != "data" {
		t.Error("a failed call changed the file system")
	}
}
