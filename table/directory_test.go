package table

import (
	"slices"
	"testing"

	"github.com/statordb/stator/internal/env"
)

// TestHostedFrom: a round through the groups sees each that has a replica here once, in order, however many are taken at a time.
func TestHostedFrom(t *testing.T) {
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
			list, next := d.hostedFrom(from, most)
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
