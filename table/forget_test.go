package table

import (
	"fmt"
	"testing"
	"time"
)

// TestForgetsTogether: records of transactions that are done go a little later, together, and long before anybody
// would look for what a dead coordinator has left. The entries of that are fewer than the transactions.
func TestForgetsTogether(t *testing.T) {
	const transactions = 20
	b := newCalmBed(t, 3, "a", "b", "c")
	b.create(simple("tab", 4))
	n := b.nodes[0]
	decided := func() (records int) {
		for _, n := range b.nodes {
			for _, p := range n.directory.hosted() {
				if p.leads() {
					records += len(p.Decided())
				}
			}
		}
		return records
	}
	applied := func() (entries uint64) {
		for _, p := range n.directory.hosted() {
			entries += p.Applied()
		}
		return entries
	}
	for i := range transactions {
		n.do("transact", func() error {
			r := &TransactWriteRequest{}
			for k := range 3 {
				r.Actions = append(r.Actions, transactPut("tab", fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, i, k)))
			}
			_, err := n.TransactWrite(r)
			return err
		})
		if i == 0 {
			b.run(20 * time.Millisecond)
			if decided() != 1 {
				t.Errorf("%d records after the first transaction, want its own", decided())
			}
		}
	}
	b.run(20 * time.Millisecond) // all have been told
	records, before := decided(), applied()
	b.run(forgetPause + 100*time.Millisecond)
	if left := decided(); left > 0 {
		t.Errorf("%d records are left", left)
	}
	if entries := applied() - before; records < 10 || entries > 8 {
		t.Errorf("%d entries to forget %d records, want at most two for each partition", entries, records)
	}
	b.w.Close()
}
