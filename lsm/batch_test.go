package lsm

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/key"
)

var update = flag.Bool("update", false, "rewrite the sample files")

func sampleBatch() *Batch {
	b := &Batch{}
	b.Set([]byte("key"), []byte("value"))
	b.Set(nil, nil)
	b.Delete([]byte("gone"))
	b.DeleteRange([]byte("from"), []byte("to"))
	b.Set([]byte("large"), bytes.Repeat([]byte("x"), 200))
	b.seal(7)
	return b
}

// The sample of each released version must stay readable, and what is written today
// must be the newest sample.
func TestBatchGolden(t *testing.T) {
	const file = "testdata/batch-v1"
	written := sampleBatch().data
	if *update {
		if err := os.WriteFile(file, written, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, written) {
		t.Errorf("a batch is not written as in %s any more", file)
	}
	r, first, last, err := decodeBatch(golden)
	if err != nil || first != 7 || last != 11 {
		t.Fatalf("decodeBatch = %d to %d, %v", first, last, err)
	}
	var got []string
	for op, ok := r.next(); ok; op, ok = r.next() {
		got = append(got, op.kind.String()+" "+string(op.user))
	}
	if want := "SET key,SET ,DEL gone,RANGEDEL from,SET large"; strings.Join(got, ",") != want {
		t.Errorf("operations %q, want %q", got, want)
	}
}

// Any bytes may follow a checksum that is right by chance or malice: no crash, and what
// decodes is what was encoded.
func FuzzBatch(f *testing.F) {
	f.Add(sampleBatch().data)
	f.Add([]byte{})
	f.Add(append([]byte{1}, make([]byte, 12)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, first, last, err := decodeBatch(data)
		if err != nil {
			return
		}
		again := &Batch{}
		for op, ok := r.next(); ok; op, ok = r.next() {
			again.append(op.kind, op.user, op.value)
		}
		again.seal(first)
		if again.err != nil || key.SeqNum(again.count) != last-first+1 {
			t.Fatalf("%x decodes to %d operations, %d to %d, %v", data, again.count, first, last, again.err)
		}
		if r2, _, _, err := decodeBatch(again.data); err != nil || len(r2.rest) > len(data) {
			t.Errorf("%x decodes, but not after encoding it again: %v", data, err)
		}
	})
}

func TestInspect(t *testing.T) {
	img, _, _ := sampleDatabase(t)
	fs := img.fs(t)
	for _, tt := range []struct{ what, name, want string }{
		{"manifest", "", "+L0:"},
		{"manifest", "manifest-000001.log", "snapshot next-file="},
		{"wal", "", "key109#"},
		{"wal", "wal-000005.log", "batch of 10"},
		{"sstable", "000001.sst", "no such"},
		{"tea", "", "cannot inspect"},
	} {
		var out bytes.Buffer
		err := Inspect(fs, &out, tt.what, tt.name)
		if tt.what == "sstable" {
			for name := range img {
				if isNumbered(name, tableSuffix) {
					tt.name, tt.want = name, "bytes verified"
				}
			}
			err = Inspect(fs, &out, tt.what, tt.name)
		}
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("Inspect(%s, %q) prints\n%s\nwant %q", tt.what, tt.name, &out, tt.want)
		}
	}
	var _ vfs.FS = fs
}

// A batch may hold as many range deletes as a large table has partitions: they are
// not sorted anew for each of them, while all other writes wait.
func TestManyRangeDeletes(t *testing.T) {
	db := mustOpenDB(t, vfs.NewMem(), Options{DisableWAL: true})
	defer db.Close()
	const n = 20_000
	b := db.NewBatch()
	for i := range n {
		b.Set(fmt.Appendf(nil, "%06d", i), []byte("x"))
		b.DeleteRange(fmt.Appendf(nil, "%06d", i), fmt.Appendf(nil, "%06d~", i))
	}
	inTime(t, "Apply", func() {
		if err := db.Apply(b); err != nil {
			t.Error(err)
		}
	})
	for i := range n {
		if _, err := db.Get(fmt.Appendf(nil, "%06d", i), nil); !errors.Is(err, ErrNotFound) {
			t.Fatalf("Get(%06d) = %v, want %v", i, err, ErrNotFound)
		}
	}
}
