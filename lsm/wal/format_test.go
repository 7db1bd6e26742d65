package wal

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

var update = flag.Bool("update", false, "rewrite the sample files")

// The sample of each released version must stay readable, and what is written
// today must be the newest sample.
func TestGolden(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs, small)
	records := []string{"first", "", "a third record"}
	for _, r := range records {
		_, err := l.Append([]byte(r))
		must(t, err)
		must(t, l.Sync())
	}
	must(t, l.Close())
	const file = "testdata/segment-v1.log"
	written := contents(t, fs, "log")["log/w000001.log"]
	if *update {
		must(t, os.WriteFile(file, written, 0o644))
	}
	golden, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(written, golden) {
		t.Errorf("the log is not written as in %s any more", file)
	}
	fs = vfs.NewMem()
	writeFile(t, fs, "s", golden)
	var got []string
	sum, err := Inspect(fs, "s", func(_ Position, p []byte) error {
		got = append(got, string(p))
		return nil
	})
	must(t, err)
	if !slices.Equal(got, records) {
		t.Errorf("records %q, want %q", got, records)
	}
	if want := "segment 000001: sealed, 3 records, 19 payload bytes, 4163 of 4179 bytes used"; sum.String() != want {
		t.Errorf("summary %q, want %q", sum, want)
	}
}

func TestParseName(t *testing.T) {
	for name, want := range map[string]SegmentID{
		"w000001.log": 1, "w1234567.log": 1234567, "w000012.spare": 12,
		"w1.log": 0, "w000000.log": 0, "000001.log": 0, "w000001.tmp": 0, "w.log": 0, "w-00001.log": 0,
	} {
		id, isSpare, ok := parseName("w", name)
		if ok != (want != 0) || ok && id != want || isSpare != (name == "w000012.spare") {
			t.Errorf("parseName(%q) = %d, %v, %v", name, id, isSpare, ok)
		}
	}
}

// Any bytes may be found in a segment file: no crash, and an error, if any, that
// names a place in the file.
func FuzzSegment(f *testing.F) {
	fs := vfs.NewMem()
	l, _ := Open(fs, small)
	l.Append([]byte("one"), []byte("two"))
	l.Sync()
	l.Append([]byte("three"))
	open := contents(f, fs, "log")["log/w000001.log"][headerBytes : headerBytes+200]
	f.Add(open, true)
	l.Close()
	f.Add(contents(f, fs, "log")["log/w000001.log"][headerBytes:], true)
	f.Add([]byte{}, true)
	f.Add(make([]byte, headerBytes+10), false)
	f.Fuzz(func(t *testing.T, b []byte, header bool) {
		if header { // or nothing gets past its checksum
			b = append(encodeHeader(1, false), b...)
		}
		fs := vfs.NewMem()
		must(t, fs.MkdirAll("log"))
		writeFile(t, fs, "log/w000001.log", b)
		l, err := Open(fs, small)
		if err == nil {
			_, err = replayed(l, 0)
		}
		var c *corrupt.Error
		if err != nil && (!errors.As(err, &c) || c.Offset < 0 || c.Offset > int64(len(b))) {
			t.Errorf("error %v, want corruption within %d bytes", err, len(b))
		}
	})
}

// A record decodes to what was encoded, and nowhere else.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("payload"), uint64(1), int64(headerBytes), uint32(100))
	f.Add([]byte{}, uint64(1<<40), int64(1<<32-20), uint32(0))
	f.Fuzz(func(t *testing.T, payload []byte, id uint64, off int64, synced uint32) {
		var sum headerSum
		at := Position{SegmentID(id), off}
		b := sum.appendRecord(nil, at, int64(synced), payload)
		h, ok := sum.decode(b, at)
		if want := int64(synced) <= off; ok != want {
			t.Fatalf("decode ok = %v, want %v", ok, want)
		}
		if !ok {
			return
		}
		if h.synced != synced || h.payloadBytes() != int64(len(payload)) || !bytes.Equal(b[Overhead:], payload) {
			t.Errorf("decoded %+v", h)
		}
		if _, ok := sum.decode(b, Position{at.Segment + 1, at.Offset}); ok {
			t.Error("record passes in another segment")
		}
		if _, ok := sum.decode(b, Position{at.Segment, at.Offset + 1}); ok {
			t.Error("record passes at another offset")
		}
	})
}
