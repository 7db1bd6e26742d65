package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/txn"
)

// A ledger drives one partition of a table with the indexes of indexedSchema.
type ledger struct {
	t     *testing.T
	p     *Partition
	index uint64
}

func newLedger(t *testing.T) *ledger {
	db := openStore(t, vfs.NewMem())
	t.Cleanup(func() { db.Close() })
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	return &ledger{t: t, p: p}
}

// apply applies commands as one entry of the log.
func (l *ledger) apply(commands ...Command) (results []*Result) {
	l.index++
	var encoded [][]byte
	for i := range commands {
		if commands[i].Timestamp == 0 {
			commands[i].Timestamp = txn.Timestamp(100 * l.index)
		}
		encoded = append(encoded, commands[i].Encode())
	}
	for _, a := range l.p.Apply(l.index, encoded) {
		results = append(results, a.(*Result))
	}
	for _, b := range encoded {
		clear(b)
	}
	return results
}

func (l *ledger) configure(version uint64, indexes ...Index) {
	l.t.Helper()
	s := indexedSchema()
	s.Indexes = indexes
	if r := l.apply(Command{Kind: Configure, Config: &Config{Version: version, Last: ^uint64(0), Schema: s}}); r[0].Err != nil {
		l.t.Fatal(r[0].Err)
	}
}

// put is an item that is in the global index, with attribute w as told.
func (l *ledger) put(s int, w string) Command {
	return Command{Kind: Put, Item: parseItem(l.t, fmt.Sprintf(
		`{"p":{"S":"a"},"s":{"N":"%d"},"t":{"B":"AA=="},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"0"},"w":{"S":%q}}`, s, w))}
}

// changes shows the change records after a number: sort key, image of w before
// and after, and for what.
func (l *ledger) changes(after uint64) string {
	l.t.Helper()
	var out []string
	err := l.p.Changes(after, func(c *Change) bool {
		text := fmt.Sprintf("%d@%d", c.Sequence, c.Timestamp)
		if c.Backfill {
			text += " backfill"
		}
		if c.Old != nil {
			v, _ := c.Old.Get("s")
			text += fmt.Sprintf(" old %v", v)
		}
		if c.New != nil {
			v, _ := c.New.Get("s")
			w, _ := c.New.Get("w")
			text += fmt.Sprintf(" new %v %v", v, w)
		}
		out = append(out, text)
		return true
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// A backfill brings each row in its latest state, whichever way it is mixed with
// writes: before it in the log, in the same entry, or after it.
func TestBackfill(t *testing.T) {
	l := newLedger(t)
	global := indexedSchema().Indexes[1]
	l.configure(1)
	for s := range 5 {
		l.apply(l.put(s, "old"))
	}
	odd := Command{Kind: Put, Item: parseItem(t, `{"p":{"S":"a"},"s":{"N":"9"},"x":{"N":"1"}}`)} // of a type that the index refuses
	l.apply(odd)
	l.apply(l.put(12, "old"))
	step := Command{Kind: Backfill, Index: global.ID, Rows: 2}
	if r := l.apply(step); !errors.Is(r[0].Err, ErrNoIndex) {
		t.Errorf("backfill of an unknown index: %v", r[0].Err)
	}
	l.configure(2, global)
	if got := l.changes(0); got != "" {
		t.Errorf("changes from before there was an index:\n%s", got)
	}
	remove := Command{Kind: Delete, Item: parseItem(t, `{"p":{"S":"a"},"s":{"N":"3"}}`)}
	r := l.apply(l.put(0, "new"), step, step, remove, l.put(6, "made"), step)
	if r[1].Done || r[2].Done || r[5].Done || r[5].Sequence != 8 {
		t.Errorf("steps: %+v, %+v, %+v", r[1], r[2], r[5])
	}
	const want = `1@1100 new N:0 S:new
2@1100 backfill new N:0 S:new
3@300 backfill new N:1 S:old
4@400 backfill new N:2 S:old
5@500 backfill new N:3 S:old
6@1100 old N:3
7@1101 new N:6 S:made
8@600 backfill new N:4 S:old`
	got := l.changes(0)
	for _, tag := range []string{"N:", "S:"} {
		got = strings.ReplaceAll(got, "{"+tag, tag)
	}
	if got = strings.ReplaceAll(got, "}", ""); got != want {
		t.Errorf("changes:\n%s\nwant\n%s", got, want)
	}
	again, err := Open(l.p.db, 7) // progress is in the store
	if err != nil {
		t.Fatal(err)
	}
	l.p = again
	for range 5 {
		if r = l.apply(step); r[0].Done {
			break
		}
	}
	if !r[0].Done || r[0].Sequence != l.p.Sequence() {
		t.Errorf("last step: %+v", r[0])
	}
	before := l.p.Sequence()
	if r = l.apply(step); !r[0].Done || l.p.Sequence() != before {
		t.Errorf("a step after the end: %+v, and %d new changes", r[0], l.p.Sequence()-before)
	}
}

// Trimmed records are gone, the others are not, and numbers go on, also after a
// restart.
func TestTrim(t *testing.T) {
	l := newLedger(t)
	l.configure(1, indexedSchema().Indexes[1])
	for s := range 5 {
		l.apply(l.put(s, "w"))
	}
	l.apply(Command{Kind: Trim, Through: 3})
	l.apply(Command{Kind: Trim, Through: 2})
	if got := strings.Count(l.changes(0), "\n") + 1; got != 2 || l.p.Trimmed() != 3 {
		t.Errorf("%d records left, trimmed up to %d, want 2 and 3", got, l.p.Trimmed())
	}
	l.apply(Command{Kind: Trim, Through: 1000})
	again, err := Open(l.p.db, 7)
	if err != nil {
		t.Fatal(err)
	}
	l.p = again
	called := 0
	l.p.Watch(func() { called++ })
	l.apply(l.put(9, "w"))
	l.apply(l.put(9, "w")) // no change of the entry, no record
	if got := l.changes(0); !strings.HasPrefix(got, "6@") || l.p.Sequence() != 6 || l.p.Trimmed() != 5 || called != 1 {
		t.Errorf("after a restart: %q, sequence %d, trimmed %d, watcher called %d times", got, l.p.Sequence(), l.p.Trimmed(), called)
	}
}

// A split and a step of a backfill may share an entry of the log. What the step does behind the split concerns the rows that
// the parent has kept; before it, all.
func TestBackfillBesideSplit(t *testing.T) {
	for _, splitFirst := range []bool{true, false} {
		l := newLedger(t)
		global := indexedSchema().Indexes[1]
		l.configure(1)
		hash := RowHash(l.p.Config().Schema.AppendRowKey(nil, l.put(0, "old").Item))
		for s := range 5 {
			l.apply(l.put(s, "old"))
		}
		l.configure(2, global)
		split := Command{Kind: SplitOff, Split: &Split{At: hash, Child: 8, Voters: []uint64{1}}}
		fill := Command{Kind: Backfill, Index: global.ID, Rows: 100}
		commands := []Command{fill, split}
		if splitFirst {
			commands = []Command{split, fill}
		}
		for i, r := range l.apply(commands...) {
			if r.Err != nil {
				t.Fatalf("split first %v: command %d: %v", splitFirst, i, r.Err)
			}
		}
		child, err := Open(l.p.db, 8)
		if err != nil {
			t.Fatal(err)
		}
		_, done, err := child.backfillProgress(global.ID)
		if err != nil || done == splitFirst {
			t.Errorf("split first %v: the child's rows are in the index: %v, %v", splitFirst, done, err)
		}
		if got := l.p.Sequence(); (got == 0) != splitFirst {
			t.Errorf("split first %v: the parent has %d change records", splitFirst, got)
		}
	}
}
