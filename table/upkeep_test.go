package table

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/partition"
)

// The changes that a damaged index cannot take are kept for it, whatever the other indexes take meanwhile, also
// changes that do not concern it; and they go once it is deleted.
func TestChangesAreKeptForDamagedIndex(t *testing.T) {
	for what, heal := range map[string]func(w *world, junk []byte){
		"it is healed": func(w *world, junk []byte) {
			b := w.db.NewBatch()
			b.Delete(junk)
			if err := w.db.Apply(b); err != nil {
				t.Fatal(err)
			}
			w.restart()
		},
		"it is deleted": func(w *world, _ []byte) {
			must(w.Update(UpdateTableRequest{Table: "tab", DeleteIndexes: []string{"byText"}}))
			synctest.Wait()
			w.put("tab", `{"p":{"S":"w"},"s":{"N":"4"}}`)
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t}
				w.begin()
				defer func() { w.Close(); w.db.Close() }()
				w.create(indexedAll("tab", 1))
				w.put("tab", `{"p":{"S":"x"},"s":{"N":"1"},"a":{"S":"a"}}`)
				time.Sleep(2 * trimPause)
				junk, _ := partition.GroupSpan((*w.live.Load())["tab"].indexes["byText"].partitions[0].id)
				b := w.db.NewBatch()
				b.Set(junk, []byte("junk"))
				if err := w.db.Apply(b); err != nil {
					t.Fatal(err)
				}
				w.restart()
				trimmed := func() (through, last uint64) {
					time.Sleep(2 * trimPause)
					synctest.Wait()
					p := (*w.live.Load())["tab"].partitions[0]
					return p.Trimmed(), p.Sequence()
				}
				before, _ := trimmed()
				w.put("tab", `{"p":{"S":"y"},"s":{"N":"2"},"a":{"S":"a"}}`)
				time.Sleep(2 * trimPause)
				w.put("tab", `{"p":{"S":"z"},"s":{"N":"3"}}`) // not in the index
				if through, last := trimmed(); through != before || last != before+2 {
					t.Errorf("of %d changes %d are gone, want %d", last, through, before)
				}
				heal(w, junk)
				if through, last := trimmed(); through != last {
					t.Errorf("then, of %d changes %d are gone", last, through)
				}
				if (*w.live.Load())["tab"].indexes["byText"] == nil {
					return
				}
				if n := len(must(scanAll(w.Service, "tab", "byText", rand.New(rand.NewPCG(1, 1))))); n != 2 {
					t.Errorf("then the index has %d entries, want 2", n)
				}
			})
		})
	}
}
