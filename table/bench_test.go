package table

import (
	"fmt"
	"testing"

	"github.com/statordb/stator/item"
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
