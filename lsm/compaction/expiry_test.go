package compaction

import (
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/lsm/key"
	"github.com/statordb/stator/lsm/manifest"
	"github.com/statordb/stator/lsm/sstable"
)

// expiring returns a table of 100 bytes with 10 entries, sequence numbers 10 to 20.
func expiring(num int, first, last string) *manifest.Table {
	return &manifest.Table{
		Num: manifest.FileNum(num), Size: 100, Entries: 10, SmallestSeq: 10, LargestSeq: 20,
		Smallest: key.Internal{User: []byte(first), Trailer: key.MakeTrailer(20, key.Set)},
		Largest:  key.Internal{User: []byte(last), Trailer: key.MakeTrailer(10, key.Set)},
	}
}

// A table of which half has expired is merged with what is below, rewritten, or dropped, as
// soon as no snapshot sees any of it.
func TestPickExpired(t *testing.T) {
	upper, alone, lower, busy := expiring(1, "a", "c"), expiring(2, "d", "e"), expiring(3, "b", "b"), expiring(4, "x", "y")
	wholly := expiring(5, "m", "n")
	v := &manifest.Version{}
	v.Levels[5] = []*manifest.Table{upper, alone, wholly}
	v.Levels[6] = []*manifest.Table{lower, busy}
	expiry := map[*manifest.Table]sstable.Expiry{
		upper:  {Entries: 6, First: 100, Last: 900, Half: 500},
		alone:  {Entries: 10, First: 600, Last: 900, Half: 700},
		wholly: {Entries: 10, First: 800, Last: 1000, Half: 1000},
		busy:   {Entries: 10, First: 1, Last: 1, Half: 1},
		lower:  {Entries: 4, First: 1, Last: 1},
	}
	view := &View{
		Version: v, Options: small, Usable: sound, Snapshot: key.MaxSeqNum,
		Running: []*Pick{{Inputs: []Input{{6, []*manifest.Table{busy}}}, Output: 6}},
		Expiry:  func(t *manifest.Table) sstable.Expiry { return expiry[t] },
	}
	if got := view.due(); got != 1 {
		t.Errorf("due at %d", got)
	}
	for _, tt := range []struct {
		now    env.Time
		newest key.SeqNum
		want   string
	}{
		{499, 0, ""},
		{500, 0, "L5→L6: 000001 + 000003 (expired)"},
		{500, 9, "L5→L6: 000001 + 000003 (expired)"},
		{500, 10, ""},
	} {
		view.Now, view.Newest = tt.now, tt.newest
		wantPick(t, view.pickExpired(), tt.want)
	}
	delete(expiry, upper)
	view.Newest = 0
	for now, want := range map[env.Time]string{
		700:  "L5→L5: 000002 (expired)",
		999:  "L5→L5: 000002 dropped (expired)",
		1000: "L5→L5: 000002 dropped (expired)",
	} {
		view.Now = now
		wantPick(t, view.pickExpired(), want)
	}
	delete(expiry, alone)
	view.Now = 1000
	wantPick(t, view.pickExpired(), "L5→L5: 000005 dropped (expired)")
	wholly.RangeDeletes = 1 // which may hide something in level 6 that lies beside its points
	wantPick(t, view.pickExpired(), "L5→L5: 000005 (expired)")
	view.Expiry = nil
	wantPick(t, view.pickExpired(), "")
}

// All policies but FIFO pick what has expired, also from level 0.
func TestPoliciesPickExpired(t *testing.T) {
	table := expiring(1, "a", "c")
	v := &manifest.Version{}
	v.Levels[0] = []*manifest.Table{table}
	v.Levels[6] = []*manifest.Table{expiring(2, "b", "d")}
	view := &View{
		Version: v, Options: Options{L0Tables: 4, BaseBytes: 1000, Ratio: 10, TableBytes: 500}, Usable: sound, Snapshot: key.MaxSeqNum, Now: 5,
		Expiry: func(have *manifest.Table) (e sstable.Expiry) {
			if have == table {
				e = sstable.Expiry{Entries: 5, First: 2, Last: 7, Half: 4}
			}
			return e
		},
	}
	for name, p := range policies {
		want := "L0→L6: 000001 + 000002 (expired)"
		if name == "fifo" {
			want = ""
			p = FIFO{}
		}
		wantPick(t, p.Next(view), want)
		if due := p.Shape(view).Due; (due != 4) != (name == "fifo") {
			t.Errorf("%s: due at %d", name, due)
		}
	}
}

func wantPick(t *testing.T, p *Pick, want string) {
	t.Helper()
	got := ""
	if p != nil {
		got = p.String()
	}
	if got != want {
		t.Errorf("picked %q, want %q", got, want)
	}
}
