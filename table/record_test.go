package table

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
)

var rewriteGolden = flag.Bool("rewrite-golden", false, "write testdata/*.golden anew")

// sampleRecords are a record with everything and one with nothing optional.
func sampleRecords() []*record {
	return []*record{{
		version: 300, id: 7, status: recordActive, uuid: "00000000-0000-4000-8000-000000000001",
		created: 1_700_000_000_000_000_000, onDemandSince: 1, classUpdated: 4,
		changes: ThroughputChanges{2, 3, 5}, indexChanges: []ThroughputChanges{{6, 7, 8}},
		places: []indexPlace{{status: indexCreating}}, // which is how one without a place is read
		def: Definition{
			Name: "tab", Attributes: attributes("p", "S", "s", "N", "x", "B"), Keys: keys("p", "s"),
			LocalIndexes: []IndexDefinition{{Name: "loc", Keys: keys("p", "x"), Projection: all()}},
			GlobalIndexes: []IndexDefinition{{Name: "glo", Keys: []KeyElement{{"x", Hash}, {"s", Hash}, {"p", Range}},
				Projection: &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"a", "b"}},
				Throughput: &Throughput{1, 2}, OnDemand: &OnDemandThroughput{3, -1}, Warm: &Throughput{12, 13}}},
			BillingMode: BillingProvisioned, Throughput: &Throughput{5, 6}, OnDemand: &OnDemandThroughput{-1, 8},
			WarmThroughput: &Throughput{9, 10}, Stream: &StreamSpec{Enabled: true, ViewType: "KEYS_ONLY"},
			TableClass: "STANDARD", DeletionProtection: true, SSE: &SSESpec{Enabled: true, Type: "KMS", KMSKeyID: "id"},
			Tags: []Tag{{"k", "v"}}, Partitions: 2,
		},
		slots: []slot{{first: 0, group: 8}, {first: 1 << 63, group: 9}},
		space: spaceID{"111122223333", "eu-west-1"},
		settings: settings{
			ttl: TimeToLive{"exp", true, 9}, recovery: Recovery{10, 35}, policy: Policy{"{}", "11"},
			streamLabel: "2026-11-28T12:00:00.000",
		},
	}, {
		version: 1, id: 1, status: recordCreating,
		def: Definition{Name: "t", Attributes: attributes("p", "S"), Keys: keys("p"), Throughput: &Throughput{}}, slots: []slot{{first: 0, group: 2}},
	}}
}

// placedRecord has a global index with a place.
func placedRecord() *record {
	r := sampleRecords()[0]
	r.places = []indexPlace{{id: 17, status: indexDeleting, slots: []slot{{first: 0, group: 18}, {first: 1 << 62, group: 19}}}}
	return r
}

// facetedRecord has facets.
func facetedRecord() *record {
	r := sampleRecords()[1]
	r.def.Facets = []string{"status", "region"}
	return r
}

func TestRecordGolden(t *testing.T) {
	const file = "testdata/records.v3.golden"
	var out strings.Builder
	for _, r := range sampleRecords() {
		out.WriteString(hex.Dump(replaceCommand(r)))
	}
	out.WriteString(hex.Dump(dropCommand(homeRecord("tab"))))
	out.WriteString(hex.Dump(dropCommand(sampleRecords()[0])))
	out.WriteString(hex.Dump(replaceCommand(placedRecord())))
	out.WriteString(hex.Dump(replaceCommand(facetedRecord())))
	if *rewriteGolden {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("catalog commands are encoded as\n%s, want\n%s", out.String(), want)
	}
}

// homeRecord is just enough of a record to name a table of the home space.
func homeRecord(name string) *record { return &record{def: Definition{Name: name}} }

// TestOldRecords: format 1 is of before indexes had changes of their own,
// format 2 of before there were spaces and settings.
func TestOldRecords(t *testing.T) {
	for _, file := range []string{"testdata/records.v1.golden", "testdata/records.v2.golden"} {
		dumps := undump(t, file)
		for i, want := range sampleRecords() {
			if strings.Contains(file, "v1") {
				clear(want.indexChanges)
			}
			want.space, want.settings = spaceID{}, settings{}
			for i := range want.def.GlobalIndexes {
				want.def.GlobalIndexes[i].Warm = nil
			}
			c, err := decodeCatalogCommand(dumps[i])
			if err != nil || !reflect.DeepEqual(c.record, want) {
				t.Errorf("%s: decoded %+v, %v, want %+v", file, c.record, err, want)
			}
		}
	}
}

// undump returns the bytes of every hex.Dump in a file.
func undump(t *testing.T, file string) (dumps [][]byte) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "00000000") {
			dumps = append(dumps, nil)
		}
		line, _, _ = strings.Cut(line[8:], "|")
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		dumps[len(dumps)-1] = append(dumps[len(dumps)-1], b...)
	}
	return dumps
}

func TestRecordRoundTrip(t *testing.T) {
	for _, want := range append(sampleRecords(), placedRecord(), facetedRecord(), replicatedRecord(), splittingRecord()) {
		b := want.append(nil)
		got, err := decodeRecord(b)
		if err != nil {
			t.Fatalf("decodeRecord(%s): %v", want.def.Name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("decoded %+v, want %+v", got, want)
		}
		for cut := range b {
			if _, err := decodeRecord(b[:cut]); !errors.Is(err, errRecord) {
				t.Errorf("decodeRecord of %d of %d bytes: error %v, want errRecord", cut, len(b), err)
			}
		}
	}
}

// FuzzCatalogCommand: no bytes make the decoder or the catalog panic, and what
// is decoded is encoded and decoded again to the same.
func FuzzCatalogCommand(f *testing.F) {
	for _, r := range sampleRecords() {
		f.Add(createCommand(r))
		f.Add(replaceCommand(r))
	}
	f.Add(dropCommand(homeRecord("tab")))
	f.Add(replaceCommand(placedRecord()))
	f.Add(createCommand(facetedRecord()))
	f.Add(createCommand(replicatedRecord()))
	f.Add(replaceCommand(splittingRecord()))
	f.Add(foundCommand(clusterID{1, 2}, sampleNodes()))
	f.Add(nodeCommand(&node{zone: "d", state: nodeJoining, incarnation: 8}))
	f.Add(nodeCommand(sampleNodes()[1].with(func(n *node) { n.state = nodeDraining })))
	w := newWorld(f)
	index := w.catalog.Applied()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeCatalogCommand(b)
		if err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatalf("error %v is not errRecord", err)
			}
			return
		}
		if c.record != nil {
			first := c.record.append(nil)
			again, err := decodeRecord(first)
			if err != nil {
				t.Fatalf("encoded record is refused: %v", err)
			}
			if second := again.append(nil); !bytes.Equal(first, second) {
				t.Fatalf("encoded as %x, then as %x", first, second)
			}
			newLiveTable(c.record, liveGroups{})
		}
		index++
		if n := len(w.catalog.Apply(index, [][]byte{b})); n != 1 {
			t.Fatalf("%d results for one command", n)
		}
	})
}

// TestCatalogReplace: only the next version of the record that is there now
// may replace it.
func TestCatalogReplace(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	r := w.catalog.snapshot().byKey["//tab"]
	next := r.with(func(r *record) { r.def.TableClass = "STANDARD" })
	if got, err := w.propose(replaceCommand(next)); err != nil || got.version != r.version+1 {
		t.Fatalf("replace = %+v, %v", got, err)
	}
	for what, stale := range map[string]*record{
		"the same version": next,
		"a gap":            next.with(func(r *record) { r.version += 5 }),
		"another table":    next.with(func(r *record) { r.id++ }),
		"an unknown name":  next.with(func(r *record) { r.def.Name = "nope" }),
	} {
		if _, err := w.propose(replaceCommand(stale)); !errors.Is(err, errStale) {
			t.Errorf("replace by %s: error %v, want errStale", what, err)
		}
	}
	if _, err := w.propose(dropCommand(homeRecord("tab"))); !errors.Is(err, errStale) {
		t.Errorf("drop of an active table: error %v, want errStale", err)
	}
	if _, err := w.propose([]byte("junk")); !errors.Is(err, errRecord) {
		t.Errorf("junk: error %v, want errRecord", err)
	}
}

// TestCatalogDeterminism: two catalogs that apply the same log, one of them in
// entries of several commands, end with the same bytes.
func TestCatalogDeterminism(t *testing.T) {
	commands := [][]byte{}
	for _, name := range []string{"b", "a", "c"} {
		r := sampleRecords()[0]
		r.def.Name = name
		commands = append(commands, createCommand(r), createCommand(r))
	}
	commands = append(commands, dropCommand(homeRecord("a")))
	one, many := newWorld(t), newWorld(t)
	for i, c := range commands {
		one.catalog.Apply(uint64(i+1), [][]byte{c})
	}
	many.catalog.Apply(uint64(len(commands)), commands)
	if a, b := one.catalog.appendState(1, clusterID{}), many.catalog.appendState(1, clusterID{}); !bytes.Equal(a, b) {
		t.Errorf("states %x and %x differ", a, b)
	}
	if a, b := one.catalog.snapshot().records(), many.catalog.snapshot().records(); !reflect.DeepEqual(a, b) || len(a) != 3 {
		t.Errorf("records differ: %d and %d", len(a), len(b))
	}
}

func TestUUID(t *testing.T) {
	seen := map[string]bool{}
	e := env.New()
	for range 100 {
		id := newUUID(e)
		if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || seen[id] {
			t.Fatalf("newUUID() = %s", id)
		}
		seen[id] = true
	}
}
