package sim

import (
	"slices"
	"time"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// allIndexes are those that the table may have: one of each kind, and one whose key changes
// with every write.
var allIndexes = []indexInfo{{"local", true, false}, {"byValue", false, true}, {"byCount", true, true}}

// indexes are those that the table has.
func (k *Knobs) indexes() (list []indexInfo) {
	for _, x := range allIndexes {
		if !slices.Contains(k.Lacks, x.name) {
			list = append(list, x)
		}
	}
	return list
}

// hasGlobalIndex reports whether the table has any.
func (k *Knobs) hasGlobalIndex() bool {
	return slices.ContainsFunc(k.indexes(), func(x indexInfo) bool { return x.global })
}

// withoutIndexes returns the definition without some of its global indexes.
func withoutIndexes(d table.Definition, names []string) table.Definition {
	d.GlobalIndexes = slices.DeleteFunc(d.GlobalIndexes, func(x table.IndexDefinition) bool { return slices.Contains(names, x.Name) })
	if slices.Contains(names, "byCount") { // nothing else has n as a key
		d.Attributes = slices.DeleteFunc(d.Attributes, func(a table.AttributeDefinition) bool { return a.Name == "n" })
	}
	return d
}

func withIndexes(d table.Definition) table.Definition {
	d.Attributes = append(d.Attributes, table.AttributeDefinition{Name: "v", Type: item.S}, table.AttributeDefinition{Name: "n", Type: item.N})
	keys := func(hash string, sort ...string) []table.KeyElement {
		list := []table.KeyElement{{Name: hash, Role: table.Hash}}
		for _, name := range sort {
			list = append(list, table.KeyElement{Name: name, Role: table.Range})
		}
		return list
	}
	d.LocalIndexes = []table.IndexDefinition{{Name: "local", Keys: keys("p", "v"), Projection: &table.Projection{Type: "ALL"}}}
	d.GlobalIndexes = []table.IndexDefinition{
		{Name: "byValue", Keys: keys("v"), Projection: &table.Projection{Type: "KEYS_ONLY"}},
		{Name: "byCount", Keys: keys("n", "p"), Projection: &table.Projection{Type: "ALL"}},
	}
	return d
}

type indexInfo struct {
	name   string
	all    bool // projects everything, else the keys
	global bool
}

// patienceWithIndexes is how long the global indexes of a node that is alone may take to follow once nobody
// writes and nothing fails.
const patienceWithIndexes = 3 * time.Second

// indexLimit is how long global indexes may take to follow. In a cluster a replica may be asked that is still being
// sent a snapshot.
func (r *run) indexLimit() time.Duration {
	if len(r.nodes) > 1 {
		return patienceWithIndexes + r.catchUpLimit()
	}
	return patienceWithIndexes
}

// checkIndexes compares the indexes with the table. The local one must be right at
// once, the global ones in a while.
func (r *run) checkIndexes() {
	if !r.rotten() {
		r.demand(Mirror, r.someNode(), "check indexes", (*server).checkIndexes)
	}
}

func (s *server) checkIndexes() error {
	for _, x := range s.n.run.plan.Knobs.indexes() {
		if err := s.awaitIndex(x.global, func() error { return s.checkIndex(tableName, x.name, x.all) }); err != nil {
			return err
		}
	}
	return nil
}

// awaitIndex checks an index, a global one again and again until it has followed.
func (s *server) awaitIndex(global bool, check func() error) error {
	for deadline := s.e.Now().Add(s.n.run.indexLimit()); ; s.e.Sleep(10 * time.Millisecond) {
		if err := check(); err == nil || !global || s.e.Now() > deadline {
			return err
		}
	}
}

func (s *server) checkIndex(of, name string, all bool) error {
	wrong, err := s.compare(of, name, all)
	if err == nil {
		err = wrong
	}
	return err
}

// rows returns the items of a table or the entries of an index as sorted text:
// all of each or its keys.
func (s *server) rows(name, index string, all bool) (texts []string, err error) {
	r := &table.ScanRequest{Table: name, Index: index, Limit: 10, Consistent: index == "" || index == "local"}
	for {
		page, err := s.tables.Scan(r)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			if _, has := it.Get("v"); name == ledgerName && !has {
				continue // its index has registers only, and what was put once
			}
			if !all {
				it = keysOf(it)
			}
			texts = append(texts, string(it.AppendJSON(nil)))
		}
		if page.LastKey == nil {
			slices.Sort(texts)
			return texts, nil
		}
		r.StartKey = page.LastKey
	}
}

// keysOf returns what byValue has of an item.
func keysOf(it item.Item) item.Item {
	parts := map[string]item.Value{}
	for _, name := range []string{"p", "s", "v"} {
		if v, ok := it.Get(name); ok {
			parts[name] = v
		}
	}
	return item.NewItem(parts)
}
