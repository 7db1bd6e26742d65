package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
)

// TestRowGolden: keys, rows and progress records have the bytes of version 1.
func TestRowGolden(t *testing.T) {
	const file = "testdata/rows.v1.golden"
	s := Schema{Table: 0x01020304, Hash: Key{"p", item.S}, Sort: Key{"s", item.N}}
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"-1.5"},"v":{"BOOL":true}}`)
	p := &Partition{group: 0x0a0b}
	var out strings.Builder
	dump := func(what string, b []byte) { out.WriteString(what + "\n" + hex.Dump(b)) }
	dump("row key", s.AppendRowKey(nil, it))
	dump("row key without sort key", (&Schema{Table: 1, Hash: Key{"s", item.N}}).AppendRowKey(nil, it))
	dump("row", appendRow(nil, 0x1112131415161718, it))
	dump("progress key", appendGroupKey(nil, p.group, partProgress))
	dump("configuration key", appendGroupKey(nil, p.group, partConfig))
	dump("progress", p.appendProgress(nil, 1, counters{items: 2, bytes: 3, latest: 4, maxDelete: 5}))
	checkGolden(t, file, out.String())
}

// FuzzDecodeRow: bytes that are accepted are those that would be written.
func FuzzDecodeRow(f *testing.F) {
	f.Add(appendRow(nil, 5, parseItem(f, `{"p":{"S":"a"}}`)))
	f.Add([]byte{rowFormat})
	schema := facetSchema()
	f.Add(schema.appendRow(nil, 5, parseItem(f, `{"p":{"S":"a"},"y":{"N":"1"}}`)))
	key := schema.AppendRowKey(nil, parseItem(f, `{"p":{"S":"a"},"s":{"N":"1"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, it, err := decodeRow(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v is not ErrFormat", err)
			}
			return
		}
		if b[0] == rowFormatFacets {
			var tags lsm.Tags
			facets(key, b, &tags)
			if n := tags.Len(); n != int(b[rowOverhead]) || len(b) != rowOverhead+1+2*n+len(it) {
				t.Fatalf("%x: %d tags before an item of %d bytes", b, n, len(it))
			}
			return
		}
		if again := appendRow(nil, ts, it); !bytes.Equal(again, b) {
			t.Fatalf("%x is written again as %x", b, again)
		}
	})
}
