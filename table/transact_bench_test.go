package table

import (
	"fmt"
	"testing"
)

// BenchmarkTransact has what transactions cost beside the single requests that they are made of:
// two puts as two requests, as one transaction in one partition, and in two; two reads.
func BenchmarkTransact(b *testing.B) {
	w := benchWorld(b)
	// Items of one collection are in one partition; those of others are elsewhere, mostly.
	pairs := map[bool][][2]int{}
	t, err := w.lookup("tab")
	if err != nil {
		b.Fatal(err)
	}
	place := func(i int) uint64 {
		return t.partitions.of(t.schema.HashOf(benchItem(i))).id
	}
	for i := 0; len(pairs[true]) < 500 || len(pairs[false]) < 500; i++ {
		first, second := i*7, i*7+1
		if i%2 == 0 {
			second = i*7 + 100*(1+i%3)
		}
		same := place(first) == place(second)
		pairs[same] = append(pairs[same], [2]int{first, second})
	}
	run := func(name string, same bool, f func(pair [2]int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := f(pairs[same][i%500]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
	puts := func(pair [2]int) error {
		for _, i := range pair {
			if _, err := w.Put(&PutRequest{Table: "tab", Item: benchItem(i)}); err != nil {
				return err
			}
		}
		return nil
	}
	token := 0
	transact := func(pair [2]int) error {
		token++
		r := &TransactWriteRequest{Token: fmt.Sprint(token)}
		for _, i := range pair {
			r.Actions = append(r.Actions, TransactAction{Kind: TransactPut, Table: "tab", Item: benchItem(i)})
		}
		_, err := w.TransactWrite(r)
		return err
	}
	run("two puts", false, puts)
	run("two puts as one transaction/one partition", true, transact)
	run("two puts as one transaction/two partitions", false, transact)
	run("two gets", false, func(pair [2]int) error {
		for _, i := range pair {
			if _, err := w.Get(&GetRequest{Table: "tab", Key: benchKey(i), Consistent: true}); err != nil {
				return err
			}
		}
		return nil
	})
	run("two gets as one transaction", false, func(pair [2]int) error {
		r := &TransactGetRequest{}
		for _, i := range pair {
			r.Items = append(r.Items, TransactGetItem{Table: "tab", Key: benchKey(i)})
		}
		_, err := w.TransactGet(r)
		return err
	})
}
