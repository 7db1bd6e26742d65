package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// TestAdminSplit: an operator splits the largest partition of a table, and then one of its groups.
func TestAdminSplit(t *testing.T) {
	s, err := Open(Options{Memory: true, Admin: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.tables.Create(table.Definition{Name: "tab", BillingMode: table.BillingOnDemand,
		Attributes: []table.AttributeDefinition{{Name: "p", Type: item.S}}, Keys: []table.KeyElement{{Name: "p", Role: table.Hash}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := s.tables.Put(&table.PutRequest{Table: "tab", Item: item.NewItem(map[string]item.Value{"p": item.String(fmt.Sprint(i))})}); err != nil {
			t.Fatal(err)
		}
	}
	split := func(r AdminRequest) (out AdminSplit) {
		t.Helper()
		body, _ := json.Marshal(r)
		answer, err := s.admin("SplitGroup", body)
		if err != nil {
			t.Fatalf("split %+v: %v", r, err)
		}
		if err := json.Unmarshal(answer.AppendJSON(nil), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := split(AdminRequest{Table: "tab"})
	split(AdminRequest{Group: first.Child, Hash: 0xf << 60})
	var firsts []uint64
	bytes := int64(0)
	layout := s.tables.Layout()
	for i, g := range s.tables.Groups() {
		if l := layout[i]; l.ID != g.ID || l.Table != g.Table || l.First != g.First || l.Last != g.Last || !slices.Equal(l.Replicas, g.Replicas) || l.Here || l.Bytes != 0 {
			t.Errorf("the catalog has %+v, groups are %+v", l, g)
		}
		if g.Table == "tab" {
			firsts, bytes = append(firsts, g.First), bytes+g.Bytes
		}
	}
	page, err := s.tables.Scan(&table.ScanRequest{Table: "tab"})
	if len(firsts) != 3 || firsts[0] != 0 || firsts[2] != 0xf<<60 || bytes != 140 || err != nil || page.Count != 50 {
		t.Errorf("partitions begin at %#x with %d bytes, a scan finds %d items, %v", firsts, bytes, page.Count, err)
	}
	for _, r := range []AdminRequest{{Table: "other"}, {Group: 99}} {
		body, _ := json.Marshal(r)
		if _, err := s.admin("SplitGroup", body); err == nil {
			t.Errorf("split %+v is done", r)
		}
	}
}
