package sim

import (
	"fmt"
	"time"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// checkCounters compares what the node counts of the table, while nobody writes,
// with what is there: items, their bytes, and the sizes of item collections.
func (r *run) checkCounters() {
	if !r.rotten() {
		r.demand(Counters, r.someNode(), "check counters", func(s *server) (err error) {
			for range 1 + int(countPatience/countPause) {
				if err = s.checkCounters(); err == nil || len(r.nodes) == 1 {
					return err
				}
				s.e.Sleep(countPause) // other nodes tell of their parts by and by
			}
			return err
		})
	}
}

// How long a node may take to hear what others count.
const (
	countPatience = 10 * time.Second
	countPause    = 200 * time.Millisecond
)

// itemOverhead is what the service adds to the size of each item for its place in
// an index when it tells the size of a table.
const itemOverhead = 100

func (s *server) checkCounters() error {
	items, bytes, collections, err := s.count("")
	if err != nil {
		return err
	}
	_, local, entries, err := s.count("local")
	if err != nil {
		return err
	}
	d, err := s.tables.Describe(tableName)
	if err != nil {
		return err
	}
	if d.ItemCount != items || d.SizeBytes != bytes+itemOverhead*items {
		return fmt.Errorf("the table counts %d items of %d bytes, there are %d of %d", d.ItemCount, d.SizeBytes, items, bytes+itemOverhead*items)
	}
	if x := d.LocalIndexCounts[0]; x.Items != items || x.Bytes != local+itemOverhead*items {
		return fmt.Errorf("the local index counts %d entries of %d bytes, there are %d of %d", x.Items, x.Bytes, items, local+itemOverhead*items)
	}
	for p := range hotHashes {
		hash := fmt.Sprint("p", p)
		r, err := s.tables.DeleteItem(&table.DeleteRequest{Table: tableName, Key: item.NewItem(keyItem(hash + "/nobody"))})
		if err != nil {
			return err
		}
		if want := collections[hash] + entries[hash]; r.CollectionBytes != want {
			return fmt.Errorf("item collection %s counts %d bytes, there are %d", hash, r.CollectionBytes, want)
		}
	}
	return nil
}

// count reads the whole table, or an index, and returns how many items there are,
// their bytes, and those by hash key.
func (s *server) count(index string) (items, bytes int64, byHash map[string]int64, err error) {
	byHash = map[string]int64{}
	r := &table.ScanRequest{Table: tableName, Index: index, Consistent: true}
	for {
		page, err := s.tables.Scan(r)
		if err != nil {
			return 0, 0, nil, err
		}
		for _, it := range page.Items {
			p, _ := it.Get("p")
			items++
			bytes += int64(it.Size())
			byHash[string(p.Bytes())] += int64(it.Size())
		}
		if page.LastKey == nil {
			return items, bytes, byHash, nil
		}
		r.StartKey = page.LastKey
	}
}
