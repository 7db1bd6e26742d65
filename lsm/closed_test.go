package lsm

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

func openGolden(t *testing.T) (*Closed, vfs.FS) {
	t.Helper()
	fs := vfs.NewMem()
	copyInto(t, fs, filepath.Join("testdata", "database-v1"))
	c, err := OpenClosed(fs, "")
	if err != nil {
		t.Fatal(err)
	}
	return c, fs
}

// Find shows a key's history, newest first; see TestOpensDatabaseOfVersion1 for what
// happened to the keys.
func TestFind(t *testing.T) {
	c, _ := openGolden(t)
	for _, tt := range []struct{ key, want string }{
		{"key0005", "L1 000001.*key0005#6,SET = first"},
		{"key0150", "L0 000002.*key0150#401,DEL\nL1 000001.*key0150#151,SET = first"},
		{"key0025", "L0 000002.*[key0020, key0030)#402\nL1 000001.*key0025#26,SET"},
		{"key0001", "log 000003.*key0001#423,DEL\nL1 000001.*key0001#2,SET"},
		{"key0045", "log 000003.*[key0040, key0050)#424\nL1 000001.*key0045#46,SET"},
		{"key0295", "log 000003.*key0295#408,SET = third\nL1 000001.*key0295#296,SET = first"},
		{"nowhere", ""},
	} {
		var out strings.Builder
		if err := c.Find(&out, []byte(tt.key)); err != nil {
			t.Errorf("Find(%s): %v", tt.key, err)
		}
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		want := strings.Split(tt.want, "\n")
		same := len(got) == len(want)
		for i := 0; same && i < len(got); i++ {
			for _, part := range strings.Split(want[i], ".*") {
				same = same && strings.Contains(got[i], part)
			}
		}
		if !same {
			t.Errorf("Find(%s) prints\n%s\nwant\n%s", tt.key, out.String(), tt.want)
		}
	}
}

// A file that is missing, or not whole, is named without being read.
func TestClosedComplete(t *testing.T) {
	c, fs := openGolden(t)
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	cut, gone := c.state.Version.All()[0], c.state.Version.All()[1]
	f, err := fs.Open(c.tableName(cut.Num))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(7), f.Close(), fs.Remove(c.tableName(gone.Num))); err != nil {
		t.Fatal(err)
	}
	err = c.Complete()
	for _, want := range []string{c.tableName(cut.Num) + ".*7 bytes of", c.tableName(gone.Num) + ".*missing"} {
		name, what, _ := strings.Cut(want, ".*")
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), what) {
			t.Errorf("Complete: %v, want %q", err, want)
		}
	}
}

// Looking changes nothing, so it can be done twice; and what is damaged is named, while the
// rest is looked through.
func TestClosedVerify(t *testing.T) {
	c, fs := openGolden(t)
	var out strings.Builder
	if err := errors.Join(c.Verify(&out), c.Verify(&out), c.Space(&out)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"000001.sst: 15627 bytes are sound", "wal-000003.log: ", "L0: 1 tables", "L1: 1 tables", "CURRENT: 45 bytes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	f, err := fs.Open("000001.sst")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 9000); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b, 9000); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	var damage *corrupt.Error
	if err := c.Verify(&out); !errors.As(err, &damage) || damage.File != "000001.sst" {
		t.Errorf("Verify = %v, want damage of 000001.sst", err)
	}
	if !strings.Contains(out.String(), "000002.sst: 5779 bytes are sound") {
		t.Errorf("the sound table is not named in\n%s", out.String())
	}
	if err := fs.Remove("000001.sst"); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := c.Find(&out, []byte("key0150")); !errors.As(err, &damage) || !strings.Contains(out.String(), "key0150#401,DEL") {
		t.Errorf("Find without a table = %v, prints\n%s", err, out.String())
	}
}
