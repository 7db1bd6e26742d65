package partition

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/txn"
)

// BenchmarkApplyRequest measures a put of a group with other voters, which notes its
// request; see BenchmarkApplyPut for one without.
func BenchmarkApplyRequest(b *testing.B) {
	p, err := Open(openStore(b, vfs.NewMem()), 7)
	if err != nil {
		b.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	put := Command{Kind: Put, Item: parseItem(b, `{"p":{"S":"a"},"y":{"N":"7"},"status":{"S":"open"},"text":{"S":"some more text"}}`)}
	b.ReportAllocs()
	for i := uint64(2); b.Loop(); i++ {
		put.Request, put.Timestamp = RequestID{1, i}, txn.Timestamp(i)
		if r := p.Apply(i, [][]byte{put.Encode()})[0].(*Result); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkSnapshot measures how fast a partition is copied: read, checked, staged and put
// in its place.
func BenchmarkSnapshot(b *testing.B) {
	source, err := Open(openStore(b, vfs.NewMem()), 7)
	if err != nil {
		b.Fatal(err)
	}
	source.Apply(1, [][]byte{counterConfig()})
	const n, size = 40_000, 400
	for i := range uint64(n) {
		it := parseItem(b, fmt.Sprintf(`{"p":{"S":"key %d"},"v":{"S":%q}}`, i, strings.Repeat("v", size)))
		source.Apply(i+2, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: it}).Encode()})
	}
	target, err := Open(openStore(b, vfs.NewMem()), 7)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(n * size)
	for b.Loop() {
		r, err := source.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		w, err := target.Restore(replication.SnapshotMeta{Index: source.Applied(), Term: 1})
		for err == nil {
			var chunk []byte
			if chunk, err = r.Next(); err == nil {
				err = w.Write(chunk)
			}
		}
		r.Close()
		if err != io.EOF {
			b.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
