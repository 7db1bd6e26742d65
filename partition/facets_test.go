package partition

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
)

func facetSchema() Schema {
	s := indexedSchema()
	s.Facets = []string{"status", "y", "none"}
	return s
}

// TestFacetGolden: keys and rows with facets, their tags, and the configuration of
// a table that has some are what they were. A mark must never change.
func TestFacetGolden(t *testing.T) {
	const file = "testdata/facets.v1.golden"
	s := facetSchema()
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"},"t":{"B":"AA=="},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"0"},"status":{"S":"open"}}`)
	var out strings.Builder
	dump := func(what string, b []byte) { out.WriteString(what + "\n" + hex.Dump(b)) }
	key, row := s.AppendRowKey(nil, it), s.appendRow(nil, 0x1112131415161718, it)
	dump("row key", key)
	dump("row", row)
	for _, x := range []*Index{&s.Indexes[0], &s.Indexes[1]} {
		dump("entry key of "+x.Name, s.AppendEntryKey(nil, x, it))
	}
	dump("configure", (&Command{Kind: Configure, Config: &Config{Version: 3, Last: 9, Schema: s}}).Encode())
	var tags lsm.Tags
	facets(key, row, &tags)
	for i := range tags.Len() {
		dump("tag", tags.At(i))
	}
	checkGolden(t, file, out.String())
}

// TestNarrow: a condition becomes a filter of the store that its rows pass, but for
// attributes that an index lacks.
func TestNarrow(t *testing.T) {
	s := facetSchema()
	keysOnly := s.Indexes[1]
	keysOnly.All, keysOnly.Projected = false, nil
	for _, c := range []struct {
		filter string
		index  *Index
		want   string // tags by facet and mark, in hexadecimal; "" = no filter
	}{
		{"#s = :open", nil, "0:open"},
		{":open = #s", nil, "0:open"},
		{"#s = :open AND v > :one AND y = :one", nil, "0:open & 1:one"},
		{"#s = :open OR y = :one", nil, "0:open | 1:one"},
		{"#s = :open OR v = :one", nil, ""},
		{"#s IN (:open, :one, :open)", nil, "0:one | 0:open"},
		{"attribute_exists(#s)", nil, "!0:0"},
		{"attribute_not_exists(#s) AND NOT attribute_not_exists(y)", nil, "0:0 & !1:0"},
		{"NOT #s = :open", nil, ""},
		{"#s.x = :open", nil, ""},
		{"size(#s) = :one", nil, ""},
		{"#s = :open AND y = :one", &keysOnly, "1:one"}, // y is one of its keys
		{"v = :one", nil, ""},
	} {
		c2, err := expr.ParseCondition(expr.FilterExpression, c.filter, expr.NewParams(
			map[string]string{"#s": "status"}, parseItem(t, `{":open":{"S":"open"},":one":{"N":"1"}}`)))
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		f := s.Narrow(c.index, c2)
		got := ""
		if f != nil {
			got = f.String()
		}
		table := s.Table
		if c.index != nil {
			table = c.index.ID
		}
		if want := tagNames(t, c.want, table); got != want {
			t.Errorf("%s: narrowed by %q, want %q (%s)", c.filter, got, want, c.want)
		}
	}
	s.Facets = nil
	if f := s.Narrow(nil, &expr.Condition{}); f != nil {
		t.Errorf("without facets narrowed by %v", f)
	}
}

// tagNames writes a filter with the tags as the store prints them.
func tagNames(t *testing.T, text string, table uint32) string {
	marks := map[string]uint16{
		"0": absentMark, "open": valueMark(item.String("open")), "one": valueMark(item.Int(1)),
	}
	if marks["one"] > marks["open"] {
		t.Fatal("the order of marks in this test is another one")
	}
	words := strings.Fields(text)
	for i, w := range words {
		place, name, found := strings.Cut(strings.TrimPrefix(w, "!"), ":")
		if !found {
			continue
		}
		tag := facetTag(table, int(place[0]-'0'), marks[name]).String()
		words[i] = w[:len(w)-len(place)-1-len(name)] + tag
	}
	return strings.Join(words, " ")
}

// TestFacetsOfOthers: keys of other spaces and rows that cannot be read have no tags.
func TestFacetsOfOthers(t *testing.T) {
	s, plain := facetSchema(), indexedSchema()
	it := parseItem(t, `{"p":{"S":"a"},"s":{"N":"1"},"status":{"S":"open"}}`)
	row := s.appendRow(nil, 5, it)
	for what, kv := range map[string][2][]byte{
		"no key":              {nil, row},
		"group":               {appendGroupKey(nil, 0x4040404040, partProgress), row},
		"row of other tables": {plain.AppendRowKey(nil, it), row},
		"collection":          {s.appendCollectionSizeKey(nil, it), row},
		"row without marks":   {s.AppendRowKey(nil, it), appendRow(nil, 5, it)},
		"cut row":             {s.AppendRowKey(nil, it), row[:rowOverhead+3]},
		"empty row":           {s.AppendRowKey(nil, it), nil},
	} {
		var tags lsm.Tags
		if facets(kv[0], kv[1], &tags); tags.Len() != 0 {
			t.Errorf("%s: %d tags", what, tags.Len())
		}
	}
}

// BenchmarkFacets measures what is asked for every value that the store writes: of a
// row of another table, and of one with two facets.
func BenchmarkFacets(b *testing.B) {
	s := facetSchema()
	s.Facets = s.Facets[:2]
	it := parseItem(b, `{"p":{"S":"a"},"s":{"N":"1"},"y":{"N":"7"},"status":{"S":"open"}}`)
	for name, s := range map[string]Schema{"plain": indexedSchema(), "faceted": s} {
		key, row := s.AppendRowKey(nil, it), s.appendRow(nil, 5, it)
		b.Run(name, func(b *testing.B) {
			var tags lsm.Tags
			for b.Loop() {
				tags.Reset()
				facets(key, row, &tags)
			}
		})
	}
}

// BenchmarkApplyPut measures a put into tables without and with facets.
func BenchmarkApplyPut(b *testing.B) {
	for name, facets := range map[string][]string{"plain": nil, "faceted": {"y", "status"}} {
		b.Run(name, func(b *testing.B) {
			p, err := Open(openStore(b, vfs.NewMem()), 1)
			if err != nil {
				b.Fatal(err)
			}
			schema := Schema{Table: 3, Hash: Key{"p", item.S}, Facets: facets}
			p.Apply(1, [][]byte{(&Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: schema}}).Encode()})
			put := Command{Kind: Put, Item: parseItem(b, `{"p":{"S":"a"},"y":{"N":"7"},"status":{"S":"open"},"text":{"S":"some more text"}}`)}
			commands := [][]byte{put.Encode()}
			b.ReportAllocs()
			for i := uint64(2); b.Loop(); i++ {
				if r := p.Apply(i, commands)[0].(*Result); r.Err != nil {
					b.Fatal(r.Err)
				}
			}
		})
	}
}
