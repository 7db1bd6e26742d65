package vlog

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/statordb/stator/lsm/corrupt"
)

var writeGolden = flag.Bool("write-golden", false, "write golden files that are missing")

// TestGolden reads files of each released format version, and writes the same today.
// They are never written anew.
func TestGolden(t *testing.T) {
	for name, o := range map[string]Options{"v1-none.vlog": {Number: 7}, "v1-s2.vlog": {Number: 7, Codec: S2}, "v2-zstd.vlog": {Number: 7, Codec: Zstd}} {
		entries := sample()
		written, _ := write(t, o, entries)
		path := filepath.Join("testdata", name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && *writeGolden {
			b, err = written, os.WriteFile(path, written, 0o644)
		}
		must(t, err)
		r, err := Open(memory(t, b), testName, 7, nil)
		must(t, err)
		must(t, r.Verify())
		i := 0
		must(t, r.Records(func(c Record) error {
			got, err := r.AppendValue(nil, c.User, c.Pointer)
			if err != nil || !bytes.Equal(got, entries[i].value) || !bytes.Equal(c.User, entries[i].user) {
				t.Errorf("%s: %v = %q, %v, want %q", name, c, got, err, entries[i].value)
			}
			i++
			return nil
		}))
		if i != len(entries) {
			t.Errorf("%s has %d records, want %d", name, i, len(entries))
		}
		if o.Codec == None && !bytes.Equal(written, b) {
			t.Errorf("files are not written as %s any more", name)
		}
	}
}

// A later version is refused by name, not as damage that nobody can explain.
func TestLaterVersion(t *testing.T) {
	b, _ := write(t, Options{Number: 7}, sample())
	at := len(b) - footerBytes
	b[at+4] = 3
	little.PutUint32(b[at:], checksum(b[at+4:], 7, int64(at)))
	_, err := Open(memory(t, b), testName, 7, nil)
	var damage *corrupt.Error
	if !errors.As(err, &damage) || damage.Reason != "format version 3, this program reads 1 to 2" {
		t.Errorf("Open = %v", err)
	}
}
