package table

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/item"
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

// A replica of an index that meets damage while it applies what the table has told it stops there, and is made anew: it would go on without the
// rows that it cannot read, and others have them. It need not have been sent anything else since it started.
func TestDamagedReplicaOfIndexStops(t *testing.T) {
	b := newBed(t, 1, "a", "b", "c")
	d := simple("tab", 1)
	d.Attributes = append(d.Attributes, AttributeDefinition{"x", item.S})
	d.GlobalIndexes = []IndexDefinition{{Name: "g", Keys: keys("x"), Projection: all()}}
	b.create(d)
	put := func(version int) {
		for i := range 60 {
			b.nodes[i%3].put("tab", fmt.Sprintf(`{"p":{"S":"k%03d"},"x":{"S":"x%03d"},"v":{"N":"%d"},"w":{"S":"%s"}}`, i, i, version, strings.Repeat("x", 1000)))
		}
	}
	put(1)
	group := b.ready().record("tab").places[0].slots[0].group
	replicaOf := func(n *bedNode) *livePartition { return n.directory.partition(group) }
	var sick *bedNode
	b.until("the index has all rows everywhere", func() bool {
		whole := true
		for _, n := range b.nodes {
			p := replicaOf(n)
			whole = whole && p != nil && p.exists() && p.Stats().Items == 60
			if whole && !p.leads() {
				sick = n
			}
		}
		return whole && sick != nil
	})
	sick.do("flush", sick.db.Flush)
	sick.crash()
	sick.restart()
	b.until("it is back", func() bool { return sick.Service != nil && replicaOf(sick) != nil && replicaOf(sick).exists() })
	sick.do("damage", func() error { return sick.flipSome(0.9) })
	put(2)
	b.until("its replica stops", func() bool {
		return b.w.Marks()["table: replica comes back to what was left of it"] > 0 || replicaOf(sick).Err() != nil
	})
	b.until("it is made anew", func() bool {
		p := replicaOf(sick)
		return p != nil && p.exists() && p.damage == nil && p.Err() == nil && p.Stats().Items == 60
	})
	b.checkIndex("tab", "g")
}

// flipBlocks damages the first half of each table file, where rows are.
func (n *bedNode) flipBlocks() error { return n.flipSome(0.5) }

// flipSome damages the first part of each table file.
func (n *bedNode) flipSome(part float64) error {
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
		for at := int64(100); at < int64(part*float64(size)); at += 1000 {
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
