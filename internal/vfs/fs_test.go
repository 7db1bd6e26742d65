package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
)

// worlds are the file systems that must behave alike as long as nothing fails.
var worlds = map[string]func(t *testing.T) FS{
	"os": func(t *testing.T) FS {
		fs, err := NewOS(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return fs
	},
	"mem":  func(*testing.T) FS { return NewMem() },
	"disk": func(*testing.T) FS { return NewDisk(1) },
	"inject": func(*testing.T) FS {
		return NewInject(NewMem(), func(Op) error { return nil })
	},
}

// everyFS runs test once per file system.
func everyFS(t *testing.T, test func(t *testing.T, fs FS)) {
	for name, open := range worlds {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, fs FS, name, content string) {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func read(t *testing.T, fs FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil && err != io.EOF {
		t.Fatalf("ReadAt(%s) = %d, %v, want %d bytes", name, n, err, size)
	}
	return string(b)
}

func TestTree(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		must(t, fs.MkdirAll("wal/old"))
		must(t, fs.MkdirAll("wal/old"))
		write(t, fs, "b", "1")
		write(t, fs, "a", "2")
		write(t, fs, "wal/x", "3")
		must(t, fs.Rename("wal/x", "a"))
		must(t, fs.Link("a", "wal/old/c"))
		must(t, fs.Remove("a"))
		for dir, want := range map[string][]string{"": {"b", "wal"}, "wal": {"old"}, "wal/old": {"c"}} {
			must(t, fs.SyncDir(dir))
			if got, err := fs.List(dir); err != nil || !slices.Equal(got, want) {
				t.Errorf("List(%q) = %q, %v, want %q", dir, got, err, want)
			}
		}
		if got := read(t, fs, "wal/old/c"); got != "3" {
			t.Errorf("linked file holds %q, want %q", got, "3")
		}
		must(t, fs.Remove("wal/old/c"))
		must(t, fs.Remove("wal/old"))
		if free, total, err := fs.Usage(); err != nil || free <= 0 || free > total {
			t.Errorf("Usage() = %d, %d, %v", free, total, err)
		}
	})
}

func TestTreeErrors(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		write(t, fs, "a", "1")
		write(t, fs, "b", "2")
		open := func(name string) error { _, err := fs.Open(name); return err }
		create := func(name string) error { _, err := fs.Create(name); return err }
		list := func(name string) error { _, err := fs.List(name); return err }
		for _, c := range []struct {
			call string
			got  error
			want error // nil: any
		}{
			{"open missing", open("x"), ErrNotExist},
			{"open in missing directory", open("d/x"), ErrNotExist},
			{"create in missing directory", create("d/x"), ErrNotExist},
			{"list missing", list("d"), ErrNotExist},
			{"sync missing directory", fs.SyncDir("d"), ErrNotExist},
			{"remove missing", fs.Remove("x"), ErrNotExist},
			{"rename missing", fs.Rename("x", "y"), ErrNotExist},
			{"link missing", fs.Link("x", "y"), ErrNotExist},
			{"link over a file", fs.Link("a", "b"), ErrExist},
			{"mkdir over a file", fs.MkdirAll("a/b"), nil},
			{"leave the root", open("../x"), nil},
			{"absolute name", create("/x"), nil},
			{"open the root", open("."), nil},
		} {
			if c.got == nil || c.want != nil && !errors.Is(c.got, c.want) {
				t.Errorf("%s: got %v, want %v", c.call, c.got, c.want)
			}
		}
	})
}

func TestFile(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		f, err := fs.Create("f")
		must(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("world"), 6)
		must(t, err)
		_, err = f.WriteAt([]byte("hello"), 0)
		must(t, err)
		if got := read(t, fs, "f"); got != "hello\x00world" {
			t.Errorf("after writes: %q", got)
		}
		must(t, f.Truncate(4))
		must(t, f.Preallocate(8))
		must(t, f.Preallocate(2))
		if got := read(t, fs, "f"); got != "hell\x00\x00\x00\x00" {
			t.Errorf("after truncate and preallocate: %q", got)
		}
		b := make([]byte, 6)
		if n, err := f.ReadAt(b, 3); n != 5 || err != io.EOF {
			t.Errorf("read past the end = %d, %v, want 5, EOF", n, err)
		}
		if n, err := f.ReadAt(b, 99); n != 0 || err != io.EOF {
			t.Errorf("read beyond the end = %d, %v, want 0, EOF", n, err)
		}
	})
}

// A new file of an old name is another file: who has the old one keeps it.
func TestCreateMakesNewInode(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		write(t, fs, "f", "old")
		f, err := fs.Open("f")
		must(t, err)
		defer f.Close()
		m, err := f.Map()
		must(t, err)
		defer m.Release()
		write(t, fs, "f", "new!")
		if got := string(m.Bytes()); got != "old" {
			t.Errorf("mapping of the old file shows %q", got)
		}
		must(t, fs.Remove("f"))
		if got, err := m.View(0, 3); err != nil || string(got) != "old" {
			t.Errorf("mapping of the removed file shows %q, %v", got, err)
		}
	})
}

func TestMap(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		want := bytes.Repeat([]byte("0123456789"), 1000)
		write(t, fs, "f", string(want))
		f, err := fs.Open("f")
		must(t, err)
		m, err := f.Map()
		must(t, err)
		must(t, f.Close()) // the mapping outlives the handle
		if !bytes.Equal(m.Bytes(), want) {
			t.Error("Bytes differ from what was written")
		}
		if got, err := m.View(9995, 5); err != nil || string(got) != "56789" {
			t.Errorf("View at the end = %q, %v", got, err)
		}
		for _, bad := range [][2]int{{9995, 6}, {-1, 2}, {10001, 0}, {0, -1}} {
			if _, err := m.View(int64(bad[0]), bad[1]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("View(%d, %d) = %v, want unexpected EOF", bad[0], bad[1], err)
			}
		}
		m.Release()

		write(t, fs, "empty", "")
		f, err = fs.Open("empty")
		must(t, err)
		defer f.Close()
		m, err = f.Map()
		must(t, err)
		if len(m.Bytes()) != 0 {
			t.Errorf("mapping of an empty file has %d bytes", len(m.Bytes()))
		}
		m.Release()
	})
}

func TestWriteThrough(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		f, err := fs.Create("f")
		must(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("first, second"), 0)
		must(t, err)
		for _, part := range []struct {
			off  int64
			text string
		}{{7, "third"}, {15, "fourth"}} {
			if n, err := f.WriteThrough([]byte(part.text), part.off); n != len(part.text) || err != nil {
				t.Fatalf("WriteThrough(%d) = %d, %v", part.off, n, err)
			}
		}
		if got, want := read(t, fs, "f"), "first, thirdd\x00\x00fourth"; got != want {
			t.Errorf("file reads %q, want %q", got, want)
		}
	})
}

func TestMapShared(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		f, err := fs.Create("f")
		must(t, err)
		defer f.Close()
		const size = 1 << 20
		must(t, f.Preallocate(size))
		m, err := f.MapShared(size)
		must(t, err)
		want := make([]byte, size)
		for _, off := range []int64{0, 5, 4090, 300_000, size - 7} {
			n, err := m.WriteAt([]byte("written"), off)
			if n != 7 || err != nil {
				t.Fatalf("WriteAt(%d) = %d, %v", off, n, err)
			}
			copy(want[off:], "written")
		}
		for _, off := range []int64{-1, size - 6, size} {
			if _, err := m.WriteAt([]byte("written"), off); !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("WriteAt(%d) = %v, want a short write", off, err)
			}
		}
		if got := read(t, fs, "f"); got != string(want) { // before any sync
			t.Error("the file is not what was written")
		}
		must(t, f.Sync())
		m.Release()
	})
}

// Tasks use one file system at the same time; run with -race.
func TestConcurrentUse(t *testing.T) {
	everyFS(t, func(t *testing.T, fs FS) {
		f, err := fs.Create("shared")
		must(t, err)
		defer f.Close()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				name := fmt.Sprintf("own%d", i)
				for j := range 20 {
					_, err := f.WriteAt([]byte{byte(i)}, int64(4*j+i))
					own, err2 := fs.Create(name)
					if err := errors.Join(err, err2, own.Close(), f.Sync()); err != nil {
						t.Error(err)
					}
					_, _ = fs.List("")
				}
			})
		}
		wg.Wait()
		if got, want := read(t, fs, "shared"), string(bytes.Repeat([]byte{0, 1, 2, 3}, 20)); got != want {
			t.Errorf("shared file holds %q, want %q", got, want)
		}
	})
}
