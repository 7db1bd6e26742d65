package table

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Blocks on the disk of one node are damaged, which leads the partition. Everything is
// read all the same, at every node, item by item and in pages: where the damage is, another
// replica reads.
func TestReadsOfDamagedBlocks(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	b.create(simple("tab", 1))
	text := func(i int) string {
		return fmt.Sprintf(`{"p":{"S":"k%03d"},"v":{"S":"%s"}}`, i, strings.Repeat("x", 1000))
	}
	const items = 300
	for i := range items {
		b.nodes[i%3].put("tab", text(i))
	}
	leads := func() *bedNode {
		for _, n := range b.nodes {
			if len(n.directory.list(func(p *livePartition) bool { return p.leads() })) > 0 {
				return n
			}
		}
		return nil
	}
	b.until("somebody leads", func() bool { return leads() != nil })
	sick := leads()
	sick.do("flush", sick.db.Flush)
	sick.do("damage", sick.flipBlocks)
	for _, n := range b.nodes {
		for i := 0; i < items; i += 7 {
			key := fmt.Sprintf(`{"p":{"S":"k%03d"}}`, i)
			for _, consistent := range []bool{true, false} {
				if got := n.get("tab", key, consistent); got != text(i) {
					t.Fatalf("node %d reads %.40s, want %.40s", n.id, got, text(i))
				}
			}
		}
		n.do("scan", func() error {
			count := 0
			r := ScanRequest{Table: "tab", Consistent: true}
			for {
				page, err := n.Scan(&r)
				if err != nil {
					return err
				}
				count += page.Count
				if r.StartKey = page.LastKey; r.StartKey == nil {
					break
				}
			}
			if count != items {
				t.Errorf("node %d scans %d items, want %d", n.id, count, items)
			}
			return nil
		})
	}
	b.run(time.Second)
	if b.w.Marks()["table: another replica reads what is damaged here"] == 0 {
		t.Error("no read has met the damage")
	}
}

// flipBlocks damages the first half of each table file, where rows are.
func (n *bedNode) flipBlocks() error {
	fs := n.disk.Mount()
	names, err := fs.List("")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.Open(name)
		if err != nil {
			return err
		}
		size, err := f.Size()
		if err != nil {
			return err
		}
		for at := int64(100); at < size/2; at += 1000 {
			if err := n.disk.FlipBit(name, 8*at); err != nil {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
