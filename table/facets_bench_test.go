package table

import (
	"fmt"
	"testing"

	"github.com/statordb/stator/item"
)

// BenchmarkFacetScan scans 100,000 items of about 200 bytes with a filter that one in
// a hundred meets, in a table without and with facets, all in sorted tables, and all
// in a memtable.
func BenchmarkFacetScan(b *testing.B) {
	w := newWorld(b)
	for _, stored := range []string{"tables", "memtable"} {
		for _, facets := range [][]string{nil, {"grade"}} {
			name := fmt.Sprintf("%s-%d-facets", stored, len(facets))
			w.create(Definition{Name: name, Attributes: attributes("p", "S"), Keys: keys("p"), Facets: facets})
			for i := range 100_000 {
				it := item.NewItem(map[string]item.Value{
					"p": item.String(fmt.Sprint(i)), "grade": item.Int(int64(i % 100)), "text": item.String(longText(150)),
				})
				if _, err := w.Put(&PutRequest{Table: name, Item: it}); err != nil {
					b.Fatal(err)
				}
			}
			if stored == "tables" {
				if err := w.db.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for _, stored := range []string{"tables", "memtable"} {
		for _, facets := range []int{0, 1} {
			name := fmt.Sprintf("%s-%d-facets", stored, facets)
			b.Run(name, func(b *testing.B) {
				f := filter("grade = :g", `{":g":{"N":"7"}}`)
				for b.Loop() {
					r := &ScanRequest{Table: name, Filter: f}
					pages, count := 0, 0
					for {
						page, err := w.Scan(r)
						if err != nil {
							b.Fatal(err)
						}
						pages, count = pages+1, count+page.Count
						if r.StartKey = page.LastKey; page.LastKey == nil {
							break
						}
					}
					if count != 1000 {
						b.Fatalf("%d items", count)
					}
					b.ReportMetric(float64(pages), "pages/op")
				}
			})
		}
	}
}
