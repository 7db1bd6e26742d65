package table

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
)

// The benchmarks measure this room and the partition and store below it; the
// log is the fake, which applies at once. Run them with -benchmem: allocations
// per operation are the figure that moves first.

// benchWorld has one table of 10,000 items of about 1 KB: 100 collections of
// 100 items.
func benchWorld(b *testing.B) *world {
	w := newWorld(b)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S", "s", "N"), Keys: keys("p", "s"), Partitions: 4})
	for i := range 10_000 {
		if _, err := w.Put(&PutRequest{Table: "tab", Item: benchItem(i)}); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func benchKey(i int) item.Item {
	return js(fmt.Sprintf(`{"p":{"S":"collection-%d"},"s":{"N":"%d"}}`, i/100%100, i%100))
}

func benchItem(i int) item.Item {
	return js(fmt.Sprintf(`{"p":{"S":"collection-%d"},"s":{"N":"%d"},"name":{"S":"item %d"},"ok":{"BOOL":true},"n":{"N":"%d"},"text":{"S":%q}}`,
		i/100%100, i%100, i, i, longText(900)))
}

func BenchmarkGet(b *testing.B) {
	w := benchWorld(b)
	var requests []*GetRequest
	for i := range 1000 {
		requests = append(requests, &GetRequest{Table: "tab", Key: benchKey(i * 7)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r, err := w.Get(requests[i%1000])
		if err != nil || r.Item == nil {
			b.Fatal(r, err)
		}
		i++
	}
}

func BenchmarkPut(b *testing.B) {
	w := benchWorld(b)
	var requests []*PutRequest
	for i := range 1000 {
		requests = append(requests, &PutRequest{Table: "tab", Item: benchItem(i * 7)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := w.Put(requests[i%1000]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkUpdateConditional(b *testing.B) {
	w := benchWorld(b)
	r := &UpdateRequest{Table: "tab", Key: benchKey(5), Update: update("ADD n :one SET ok = :t", `{":one":{"N":"1"},":t":{"BOOL":false}}`),
		Condition: condition("attribute_exists(p) AND n > :z", `{":z":{"N":"0"}}`), Return: UpdatedNew}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.UpdateItem(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuery10(b *testing.B) {
	w := benchWorld(b)
	r := &QueryRequest{Table: "tab", Keys: keyed("p = :p AND s >= :s", `{":p":{"S":"collection-7"},":s":{"N":"40"}}`), Limit: 10}
	b.ReportAllocs()
	for b.Loop() {
		p, err := w.Query(r)
		if err != nil || p.Count != 10 {
			b.Fatal(p, err)
		}
	}
}

// BenchmarkScan reads pages of 1 MB.
func BenchmarkScan(b *testing.B) {
	w := benchWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		p, err := w.Scan(&ScanRequest{Table: "tab"})
		if err != nil || p.LastKey == nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(p.ScannedCount) * 960)
	}
}

// BenchmarkPutIndexed puts new versions of items whose index keys change, over the
// real log in memory, from 16 tasks; the clock stops when the indexes have all of
// it. What a write costs is compared with that of a table without indexes.
func BenchmarkPutIndexed(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*Definition)
	}{
		{"none", func(*Definition) {}},
		{"local", func(d *Definition) {
			d.LocalIndexes = []IndexDefinition{{Name: "x", Keys: keys("p", "n"), Projection: &Projection{Type: "KEYS_ONLY"}}}
		}},
		{"keys", func(d *Definition) {
			d.GlobalIndexes = []IndexDefinition{{Name: "x", Keys: keys("n"), Projection: &Projection{Type: "KEYS_ONLY"}}}
		}},
		{"all", func(d *Definition) {
			d.GlobalIndexes = []IndexDefinition{{Name: "x", Keys: keys("n"), Projection: all()}}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := openStackWith(env.New(), vfs.NewMem(), lsm.Options{DisableWAL: true}, replication.Options{NodeID: 1, Volatile: true})
			if err != nil {
				b.Fatal(err)
			}
			defer s.close()
			d := Definition{Name: "tab", BillingMode: BillingOnDemand, Attributes: attributes("p", "S", "s", "N"), Keys: keys("p", "s")}
			c.change(&d)
			if len(d.LocalIndexes)+len(d.GlobalIndexes) > 0 {
				d.Attributes = append(d.Attributes, attributes("n", "N")...)
			}
			if _, err := s.Create(d); err != nil {
				b.Fatal(err)
			}
			var requests []*PutRequest
			for i := range 30_000 {
				requests = append(requests, &PutRequest{Table: "tab", Item: benchItem(i)})
			}
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Put(requests[next.Add(1)%30_000]); err != nil {
						b.Error(err)
					}
				}
			})
			behind := time.Now()
			if err := awaitIndexes(s.Service, "tab"); err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(time.Since(behind).Milliseconds()), "ms-behind")
		})
	}
}
