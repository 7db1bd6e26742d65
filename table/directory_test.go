package table

import (
	"slices"
	"testing"

	"github.com/statordb/stator/internal/env"
)

// TestListFrom: a round through the groups sees each that has a replica here once, in order, however many are taken at a time.
func TestListFrom(t *testing.T) {
	d := newDirectory(env.New())
	want := []uint64{}
	for id := uint64(2); id < 40; id++ {
		p := &livePartition{id: id}
		if id%3 > 0 {
			p.group = &fakeGroup{}
			want = append(want, id)
		}
		d.put(p)
	}
	for most := 1; most < 30; most++ {
		got := []uint64{}
		for from := uint64(0); ; {
			list, next := d.listFrom(from, most, (*livePartition).hosted)
			if len(list) > most {
				t.Fatalf("%d of at most %d", len(list), most)
			}
			for _, p := range list {
				got = append(got, p.id)
			}
			if from = next; from == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: %v", most, got)
		}
	}
}

// TestRound: a round sees those that are asked for each time, wherever it is, and only once; what has gone is asked for no more.
func TestRound(t *testing.T) {
	d := newDirectory(env.New())
	for id := uint64(1); id <= 9; id++ {
		d.put(&livePartition{id: id, group: &fakeGroup{}})
	}
	also := map[uint64]bool{2: true, 5: true, 8: true, 9: true, 77: true}
	d.put(&livePartition{id: 9})
	for _, r := range []struct {
		from, next uint64
		want       []uint64
	}{
		{0, 4, []uint64{1, 2, 3, 5, 8}},
		{4, 7, []uint64{4, 5, 6, 2, 8}},
		{7, 0, []uint64{7, 8, 2, 5}},
	} {
		list, next := d.round(r.from, 3, (*livePartition).hosted, also)
		got := []uint64{}
		for _, p := range list {
			got = append(got, p.id)
		}
		if !slices.Equal(got, r.want) || next != r.next {
			t.Errorf("from %d: %v, then %d; want %v, then %d", r.from, got, next, r.want, r.next)
		}
	}
	if len(also) != 3 {
		t.Errorf("%v are asked for", also)
	}
}
