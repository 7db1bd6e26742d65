package table

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// A mapFS remembers what is mapped of table and value files.
type mapFS struct {
	vfs.FS
	mu     sync.Mutex
	mapped [][]byte
}

func (m *mapFS) Open(name string) (vfs.File, error) {
	f, err := m.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".vlog") {
		return f, err
	}
	return mapFile{f, m}, nil
}

type mapFile struct {
	vfs.File
	fs *mapFS
}

func (f mapFile) Map() (vfs.Mapping, error) {
	m, err := f.File.Map()
	if err == nil {
		f.fs.mu.Lock()
		f.fs.mapped = append(f.fs.mapped, m.Bytes())
		f.fs.mu.Unlock()
	}
	return m, err
}

// TestUnreadablePage: a page of a table file that has been read before, and cannot
// be read any more, is an error of the operations that need it.
func TestUnreadablePage(t *testing.T) {
	disk, err := vfs.NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fs := &mapFS{FS: disk}
	s, err := openStack(env.New(), fs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(simple("tab", 1)); err != nil {
		t.Fatal(err)
	}
	long := longText(300_000)
	if _, err := s.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"long"},"v":{"S":%q}}`, long))}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	scan := func() error {
		_, err := s.Scan(&ScanRequest{Table: "tab", Consistent: true})
		return err
	}
	get := func() error {
		_, err := s.Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"long"}}`), Consistent: true})
		return err
	}
	if err := errors.Join(scan(), get()); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	pages := 0
	for _, b := range fs.mapped {
		if at := strings.Index(string(b), long[:1000]); at >= 0 { // in the middle of the item
			from := (at + len(long)/2) / page * page
			if err := unix.Mprotect(b[from:from+page], unix.PROT_NONE); err != nil {
				t.Fatal(err)
			}
			pages++
		}
	}
	if pages == 0 {
		t.Fatal("the item is in no mapped file")
	}
	if err := scan(); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Scan = %v, want %v", err, vfs.ErrIO)
	}
	if err := get(); !errors.Is(err, vfs.ErrIO) {
		t.Errorf("Get = %v, want %v", err, vfs.ErrIO)
	}
	if _, err := s.Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"other"}}`)}); err != nil {
		t.Errorf("Put of another item: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
