package memtable

import (
	"testing"

	"github.com/statordb/stator/internal/offheap"
	"github.com/statordb/stator/lsm/key"
)

// A table that takes the memory of another shows nothing of what that one held.
func TestPool(t *testing.T) {
	before := offheap.InUse()
	p := NewPool(8 << 20)
	for round := range uint64(4) {
		m := New(p, 0)
		for i := range uint64(20_000) {
			m.Add(scrambled(i+round*7_000), key.MakeTrailer(key.SeqNum(i+1), key.Set), []byte("v"))
		}
		for i := range uint64(20_000) {
			if _, tr, found := get(m, string(scrambled(i+round*7_000)), key.MaxSeqNum); !found || tr.SeqNum() != key.SeqNum(i+1) {
				t.Fatalf("round %d: key %d: %v, %v", round, i, tr, found)
			}
		}
		if _, _, found := get(m, string(scrambled(round*7_000+20_001)), key.MaxSeqNum); found {
			t.Fatalf("round %d: a key that was not added is found", round)
		}
		if got := countVisible(m, key.MaxSeqNum, round%2 == 0); got != 20_000 {
			t.Fatalf("round %d: %d entries", round, got)
		}
		m.Free()
		if p.Bytes() == 0 {
			t.Fatal("nothing is kept")
		}
	}
	late := New(p, 0)
	p.Trim()
	if p.Bytes() != 0 {
		t.Errorf("%d bytes are kept after Trim", p.Bytes())
	}
	p.Close()
	late.Free()
	if got := offheap.InUse(); got != before {
		t.Errorf("%d bytes are not given back", got-before)
	}
}

// What is over the limit goes back to the system at once.
func TestPoolLimit(t *testing.T) {
	p := NewPool(100 << 10)
	defer p.Close()
	m := New(p, 0)
	for i := range uint64(20_000) {
		m.Add(scrambled(i), key.MakeTrailer(key.SeqNum(i+1), key.Set), []byte("v"))
	}
	m.Free()
	if got := p.Bytes(); got > 100<<10 {
		t.Errorf("%d bytes are kept", got)
	}
}
