package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	l, err := Lock(dir)
	must(t, err)
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second Lock = %v, want ErrLocked", err)
	}
	must(t, l.Close())
	l, err = Lock(dir)
	must(t, err)
	must(t, l.Close())
	if _, err := Lock(filepath.Join(dir, "missing")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("Lock of a missing directory = %v", err)
	}
}

func TestTranslateQuota(t *testing.T) {
	quota := &os.PathError{Op: "write", Path: "f", Err: errQuota}
	if err := translate(quota); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a full quota gives %v, want ErrNoSpace", err)
	}
	full := &os.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}
	if err := translate(full); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a full device gives %v, want ErrNoSpace", err)
	}
	if err := translate(&os.PathError{Op: "write", Path: "f", Err: syscall.EIO}); !errors.Is(err, ErrIO) {
		t.Errorf("a failing device gives %v, want ErrIO", err)
	}
}

// A write-protected copy of a database can be read.
func TestOpenReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o440))
	fs, err := NewOS(dir)
	must(t, err)
	if got := read(t, fs, "f"); got != "x" {
		t.Errorf("read %q", got)
	}
}

// A page that is gone when it is written to is an error of that write, not the end
// of the process.
func TestMapSharedFault(t *testing.T) {
	fs, err := NewOS(t.TempDir())
	must(t, err)
	f, err := fs.Create("f")
	must(t, err)
	defer f.Close()
	must(t, f.Preallocate(1<<20))
	m, err := f.MapShared(1 << 20)
	must(t, err)
	defer m.Release()
	must(t, f.Truncate(4096))
	if _, isMapped := m.(unmapped); isMapped {
		t.Skip("this system writes without a mapping")
	}
	if _, err := m.WriteAt([]byte("x"), 512<<10); !errors.Is(err, ErrIO) {
		t.Errorf("write behind the end of the file = %v, want ErrIO", err)
	}
	if _, err := m.WriteAt([]byte("x"), 100); err != nil {
		t.Errorf("write before the end of the file = %v", err)
	}
}

// What a write to the page cache costs, by system call and through a mapping.
func BenchmarkAppend(b *testing.B) {
	const size, n = 16 << 20, 128
	for _, how := range []string{"write", "mapped"} {
		b.Run(how, func(b *testing.B) {
			fs, err := NewOS(b.TempDir())
			mustB(b, err)
			f, err := fs.Create("f")
			mustB(b, err)
			defer f.Close()
			mustB(b, f.Preallocate(size))
			var w io.WriterAt = f
			if how == "mapped" {
				m, err := f.MapShared(size)
				mustB(b, err)
				defer m.Release()
				w = m
			}
			off, p := int64(0), make([]byte, n)
			for b.Loop() {
				if off += n; off > size-n {
					off = 0
				}
				if _, err := w.WriteAt(p, off); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func mustB(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkAppendSync(b *testing.B) {
	for _, how := range []string{"growing", "preallocated", "overwritten"} {
		b.Run(how, func(b *testing.B) {
			const size, n = 16 << 20, 4096
			fs, err := NewOS(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			f, _ := fs.Create("log")
			defer f.Close()
			switch how {
			case "preallocated":
				err = f.Preallocate(size)
			case "overwritten":
				_, err = f.WriteAt(make([]byte, size), 0)
			}
			if err := errors.Join(err, f.Sync()); err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, n)
			off := int64(0)
			for b.Loop() {
				_, err := f.WriteAt(buf, off)
				if err := errors.Join(err, f.Sync()); err != nil {
					b.Fatal(err)
				}
				if off += n; off == size {
					off = 0
				}
			}
		})
	}
}

func ExampleGuard() {
	dir, err := os.MkdirTemp("", "guard")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	fs, _ := NewOS(dir)
	f, _ := fs.Create("table")
	defer f.Close()
	_, _ = f.WriteAt(make([]byte, 1<<16), 0)
	m, _ := f.Map()
	defer m.Release()

	_ = f.Truncate(0) // someone damages the file behind our back
	var last byte
	err = Guard(func() error {
		last = m.Bytes()[1<<16-1]
		return nil
	})
	fmt.Println(errors.Is(err, ErrIO), last)
	// Output: true 0
}

// All directories on the way to the root are made.
func TestNewOSMakesParents(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // new, then there
		fs, err := NewOS(root)
		must(t, err)
		if fs.Root() != root {
			t.Errorf("root is %s, want %s", fs.Root(), root)
		}
		if _, err := os.Stat(root); err != nil {
			t.Error(err)
		}
	}
}
