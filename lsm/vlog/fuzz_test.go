package vlog

import (
	"bytes"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// sealAll makes the checksums of a file right, as far as its records can be followed,
// so that the fuzzer gets past them.
func sealAll(b []byte) {
	at := len(b) - footerBytes
	if at < 0 {
		return
	}
	number := little.Uint64(b[at+8:])
	copy(b[at+56:], magic)
	little.PutUint32(b[at:], checksum(b[at+4:], number, int64(at)))
	for off := 0; at-off >= headerBytes; {
		n := parseHeader(b[off:]).recordBytes()
		if n > uint64(at-off) {
			return
		}
		little.PutUint32(b[off:], checksum(b[off+4:off+int(n)], number, int64(off)))
		off += int(n)
	}
}

// FuzzFile opens any bytes as a value file and reads any pointer: nothing panics, and
// what is read lies in the file.
func FuzzFile(f *testing.F) {
	for _, codec := range []Codec{None, S2, Zstd} {
		entries := sample()
		b, _ := write(f, Options{Number: 7, Codec: codec}, entries)
		for _, e := range entries {
			f.Add(b, e.user, e.at.Offset, e.at.Size)
		}
	}
	f.Add([]byte{}, []byte{}, uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, b, user []byte, offset, size uint64) {
		b = bytes.Clone(b)
		sealAll(b)
		r, err := Open(memory(t, b), testName, 0, nil)
		if err != nil {
			if !isDamage(err) {
				t.Fatalf("Open: %v", err)
			}
			return
		}
		p := Pointer{r.Meta().Number, offset, size}
		for range 2 {
			v, err1 := r.AppendValue([]byte("x"), user, p)
			w, _, err2 := r.Value(user, p, nil)
			if (err1 == nil) != (err2 == nil) || err1 == nil && string(v) != "x"+string(w) {
				t.Fatalf("%v: %q, %v and %q, %v", p, v, err1, w, err2)
			}
			if err1 != nil && !isDamage(err1) {
				t.Fatalf("%v: %v", p, err1)
			}
		}
		found := uint64(0)
		err = vfs.Guard(func() error {
			return r.Records(func(c Record) error { found++; return nil })
		})
		if err != nil && !isDamage(err) {
			t.Fatalf("Records: %v", err)
		}
		if err := r.Verify(); err != nil && !isDamage(err) {
			t.Fatalf("Verify: %v", err)
		} else if err == nil && found != r.Meta().Records {
			t.Fatalf("%d records, footer says %d", found, r.Meta().Records)
		}
	})
}

// FuzzPointer: what decodes is exactly what was encoded.
func FuzzPointer(f *testing.F) {
	f.Add(Pointer{12, 1051, 2080}.Append(nil))
	f.Add([]byte{0x80, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := DecodePointer(b); ok && !bytes.Equal(p.Append(nil), b) {
			t.Errorf("%x decodes to %v", b, p)
		}
	})
}
