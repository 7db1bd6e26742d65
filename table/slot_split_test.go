package table

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/statordb/stator/partition"
)

// splittingRecord is of a table of which two slots are being split.
func splittingRecord() *record {
	r := replicatedRecord()
	r.slots[0].split = &slotSplit{at: r.slots[1].first / 2, child: 40}
	last := &r.places[0].slots[len(r.places[0].slots)-1]
	last.split = &slotSplit{at: ^uint64(0), child: 300}
	return r
}

func TestSplittingRecordGolden(t *testing.T) {
	const file = "testdata/splits.v1.golden"
	out := hex.Dump(replaceCommand(splittingRecord()))
	if *rewriteGolden {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("%s: encoded as\n%s, want\n%s", file, out, want)
	}
}

// TestSplitSteps: a split begins, is cancelled or ends, each by a record that is derived from the one
// before, which stays as it was.
func TestSplitSteps(t *testing.T) {
	r := replicatedRecord()
	group, at := r.slots[0].group, r.slots[1].first/2
	before := fmt.Sprint(r.slots)
	begun := r.beginSplit(group, at)
	begun.slots[0].split.child = 99
	if fmt.Sprint(r.slots) != before || !isSplitting(begun.slots) || !slices.Contains(begun.groups(), 99) {
		t.Errorf("begun: %v, groups %v", begun.slots, begun.groups())
	}
	if again := begun.cancelSplit(group); fmt.Sprint(again.slots) != before {
		t.Errorf("cancelled: %v, want %v", again.slots, before)
	}
	ended := begun.endSplit(group, func(nodes []uint64) []uint64 { slices.Reverse(nodes); return nodes })
	child := ended.slots[1]
	if len(ended.slots) != len(r.slots)+1 || child.first != at || child.group != 99 || isSplitting(ended.slots) ||
		child.replicas.epoch == 0 || !slices.Equal(child.replicas.nodes, []uint64{2, 1, 3}) || lastOf(ended.slots, 0) != at-1 {
		t.Errorf("ended: %v", ended.slots)
	}
	bad := begun.withReplicas(func(r *record) { r.slots[0].split = &slotSplit{at: r.slots[1].first, child: 99} })
	if _, err := decodeRecord(bad.append(nil)); !errors.Is(err, errRecord) {
		t.Errorf("a split outside of its slot: %v", err)
	}
}

func FuzzPlan(f *testing.F) {
	var plan, list writer
	plan.plan(&partition.Split{At: 1 << 63, Stats: partition.Stats{Items: 3, Bytes: 400}, Local: []partition.Stats{{Items: 1, Bytes: 2}}})
	list.candidates([]candidate{{7, 0, 150}, {300, 1 << 60, 99}})
	f.Add(plan.b)
	f.Add(append([]byte{planGainless, 3}, "why"...))
	f.Add(list.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodePlan(b); err == nil {
			var again writer
			again.plan(s)
			if twice, err := decodePlan(again.b); err != nil || !reflect.DeepEqual(s, twice) {
				t.Fatalf("%+v is read again as %+v, %v", s, twice, err)
			}
		}
		d := reader{b: b}
		if list := d.candidates(); !d.bad {
			var again writer
			again.candidates(list)
			e := reader{b: again.b}
			if twice := e.candidates(); e.bad || !reflect.DeepEqual(list, twice) {
				t.Fatalf("%v is read again as %v", list, twice)
			}
		}
	})
}
