package sstable

import (
	"fmt"
	"sync"
	"testing"

	"github.com/statordb/stator/lsm/key"
)

// Tables with one number share a pool, whether they have the same dictionary or not. None
// takes another's away when it is closed.
func TestPoolTellsDictionariesApart(t *testing.T) {
	var files [][]byte
	var contents []content
	for i := range 3 {
		var c content
		for j := range 300 {
			value := fmt.Appendf(nil, "%d a value of table %d that %d others look like %d", j*j*(i+1), i, j, i*j*j*j)
			c.entries = append(c.entries, entry{key.Internal{User: fmt.Appendf(nil, "user%04d", j), Trailer: key.MakeTrailer(1, key.Set)}, value})
		}
		b, _ := mustWrite(t, c, Options{Number: 7, BlockBytes: 512, Compression: ZstdDict, trainBytes: 4 << 10})
		files, contents = append(files, b), append(contents, c)
	}
	files, contents = append(files, files[0]), append(contents, contents[0])
	p := new(Pool)
	var readers []*Reader
	for i, b := range files {
		r, err := Open(memory(b), testName, Options{Pool: p})
		if err != nil {
			t.Fatal(err)
		}
		if r.section(sectionDictionary).size == 0 {
			t.Fatalf("table %d has no dictionary", i)
		}
		readers = append(readers, r)
	}
	var wg sync.WaitGroup
	for range 2 {
		for i, r := range readers {
			wg.Go(func() { checkScan(t, r, contents[i]) })
		}
	}
	wg.Wait()
	if len(p.more) != 2 || readers[0].withDictionary.Load() != readers[3].withDictionary.Load() {
		t.Errorf("%d further decoders for 3 dictionaries with one number", len(p.more))
	}
	for i, r := range readers {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for j := i + 1; j < len(readers); j++ {
			checkScan(t, readers[j], contents[j])
		}
	}
	for _, d := range append([]*decoder{&p.plain}, p.more...) {
		if len(d.known) > 0 {
			t.Errorf("a decoder still knows %d dictionaries", len(d.known))
		}
	}
}
