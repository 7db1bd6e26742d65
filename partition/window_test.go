package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// smallWindow makes windows small for the length of a test.
func smallWindow(t testing.TB, records uint64, bytes, floors int) {
	r, b, f := windowRecords, windowBytes, windowFloors
	windowRecords, windowBytes, windowFloors = records, bytes, floors
	t.Cleanup(func() { windowRecords, windowBytes, windowFloors = r, b, f })
}

// A retrier proposes counting commands with request ids, some of them again.
type retrier struct {
	t       testing.TB
	rng     *rand.Rand
	add     *expr.Update
	numbers map[uint64]uint64 // last number by node
	sent    []sentCommand
	done    map[RequestID]Result // of the first time
	counts  map[string]int64     // what the counters must be, by key
}

type sentCommand struct {
	id    RequestID
	key   string
	bytes []byte
}

func newRetrier(t testing.TB, seed uint64) *retrier {
	t.Helper()
	add, err := expr.ParseUpdate("ADD n :one", expr.NewParams(nil, parseItem(t, `{":one":{"N":"1"}}`)))
	if err != nil {
		t.Fatal(err)
	}
	return &retrier{
		t: t, rng: rand.New(rand.NewPCG(seed, 2)), add: add,
		numbers: map[uint64]uint64{}, done: map[RequestID]Result{}, counts: map[string]int64{},
	}
}

// next draws a command: a new one, or one that was proposed before.
func (r *retrier) next() sentCommand {
	if n := len(r.sent); n > 0 && r.rng.IntN(3) == 0 {
		back := 1 + r.rng.IntN(min(n, 1<<r.rng.IntN(8)))
		return r.sent[n-back]
	}
	node := 1 + r.rng.Uint64N(6)
	r.numbers[node] += 1 + r.rng.Uint64N(3)
	c := sentCommand{id: RequestID{node, r.numbers[node]}, key: fmt.Sprintf("k%d", r.rng.IntN(3))}
	command := Command{
		Kind: Update, Request: c.id, Return: UpdatedNew, Update: r.add,
		// Clocks of nodes are far apart.
		Timestamp: txn.Timestamp(1 + 1000*node + uint64(len(r.sent))),
		Item:      parseItem(r.t, fmt.Sprintf(`{"p":{"S":%q}}`, c.key)),
	}
	c.bytes = command.Encode()
	r.sent = append(r.sent, c)
	return c
}

// judge compares a result with what must have happened, and reports whether the fate of
// the command was said to be unknown.
func (r *retrier) judge(c sentCommand, got *Result) (unknown bool) {
	want, repeated := r.done[c.id]
	switch {
	case !repeated && got.Err == nil:
		r.done[c.id] = *got
		r.counts[c.key]++
		n, _ := got.Attributes.Get("n")
		if !n.Equal(item.Int(r.counts[c.key])) {
			r.t.Fatalf("%+v: counted %s, want %d", c.id, got.Attributes, r.counts[c.key])
		}
	case errors.Is(got.Err, ErrFateUnknown):
		if !repeated {
			r.t.Fatalf("%+v: a new request is refused: %v", c.id, got.Err)
		}
		return true
	case !reflect.DeepEqual(*got, want):
		r.t.Fatalf("%+v: answered %+v, the first time %+v", c.id, *got, want)
	}
	return false
}

func counterConfig() []byte {
	return (&Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: Schema{Table: 1, Hash: Key{"p", item.S}}}}).Encode()
}

// stateOf returns the keys of a store, for comparison.
func stateOf(t testing.TB, db *lsm.DB) string {
	t.Helper()
	it, err := db.NewIter(lsm.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var out strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&out, "%x=%x\n", it.Key(), it.Value())
	}
	return out.String()
}

// TestRequestsOnce: whatever is repeated, whenever, is carried out once: across
// restarts, with a small ring, nodes whose clocks differ, and a replica that got all
// from a copy of the store's keys. What cannot be known is refused, and only
// what was proposed before.
func TestRequestsOnce(t *testing.T) {
	for _, size := range []struct {
		records       uint64
		bytes, floors int
	}{{8, 1 << 20, 100}, {1024, 900, 100}, {1, 1 << 20, 100}, {4096, 1 << 20, 100}} {
		t.Run(fmt.Sprintf("%d records %d bytes", size.records, size.bytes), func(t *testing.T) {
			smallWindow(t, size.records, size.bytes, size.floors)
			fs := vfs.NewMem()
			db := openStore(t, fs)
			open := func(db *lsm.DB) *Partition {
				p, err := Open(db, 7)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			p := open(db)
			p.Apply(1, [][]byte{counterConfig()})
			replica := openStore(t, vfs.NewMem())
			q := open(replica)
			q.Apply(1, [][]byte{counterConfig()})
			r := newRetrier(t, uint64(size.bytes))
			unknown := 0
			for index := uint64(2); index < 500; index++ {
				var list []sentCommand
				var commands [][]byte
				for range 1 + r.rng.IntN(4) {
					c := r.next()
					list, commands = append(list, c), append(commands, c.bytes)
				}
				first, second := p.Apply(index, commands), q.Apply(index, commands)
				if !reflect.DeepEqual(first, second) {
					t.Fatalf("entry %d: replicas answer %v and %v", index, first, second)
				}
				for i, c := range list {
					if r.judge(c, first[i].(*Result)) {
						unknown++
					}
				}
				switch r.rng.IntN(40) {
				case 0:
					if err := db.Close(); err != nil {
						t.Fatal(err)
					}
					db = openStore(t, fs)
					p = open(db)
				case 1: // the replica comes from a snapshot of the other one
					replica = openStore(t, vfs.NewMem())
					b := replica.NewBatch()
					for line := range strings.Lines(stateOf(t, db)) {
						k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
						key, _ := hex.DecodeString(k)
						value, _ := hex.DecodeString(v)
						b.Set(key, value)
					}
					if err := replica.Apply(b); err != nil {
						t.Fatal(err)
					}
					q = open(replica)
				}
			}
			if size.records < 4096 && unknown == 0 {
				t.Error("no request was ever too old")
			}
			if size.records == 4096 && unknown > 0 {
				t.Errorf("%d requests were too old for a large ring", unknown)
			}
		})
	}
}

// TestFloorsAreLimited: a node whose floor is gone is judged by timestamps, and what it
// had proposed long ago is not carried out again.
func TestFloorsAreLimited(t *testing.T) {
	smallWindow(t, 4, 1<<20, 3)
	db := openStore(t, vfs.NewMem())
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	put := func(node, number uint64, ts txn.Timestamp) error {
		c := Command{Kind: Put, Request: RequestID{node, number}, Timestamp: ts, Item: parseItem(t, `{"p":{"S":"a"}}`)}
		return p.Apply(p.Applied()+1, [][]byte{c.Encode()})[0].(*Result).Err
	}
	for node := uint64(1); node <= 20; node++ {
		if err := put(node, 1, txn.Timestamp(100*node)); err != nil {
			t.Fatalf("node %d: %v", node, err)
		}
		if len(p.window.floors) > 4 {
			t.Fatalf("%d floors", len(p.window.floors))
		}
	}
	for _, reopened := range []bool{false, true} {
		if reopened {
			if p, err = Open(db, 7); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			what         string
			node, number uint64
			ts           txn.Timestamp
			want         error
		}{
			{"the first request again", 1, 1, 100, ErrFateUnknown},
			{"one with a floor again", 16, 1, 1600, ErrFateUnknown},
			{"one in the ring again", 20, 1, 2000, nil},
			{"a node without a floor, from before", 99, 1, 1000, ErrFateUnknown},
		} {
			if err := put(c.node, c.number, c.ts); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.what, err, c.want)
			}
		}
	}
	if err := put(16, 2, 5); err != nil {
		t.Errorf("a new request of a node with a slow clock: %v", err)
	}
	if err := put(99, 2, 3000); err != nil {
		t.Errorf("a new node: %v", err)
	}
}

// TestRequestAnswers: a condition that failed, or did not fit, is answered again as it
// was, and attributes that are too large to keep make the outcome unknown.
func TestRequestAnswers(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	apply := func(c *Command) *Result {
		return p.Apply(p.Applied()+1, [][]byte{c.Encode()})[0].(*Result)
	}
	absent, err := expr.ParseCondition(expr.ConditionExpression, "attribute_not_exists(p)", nil)
	if err != nil {
		t.Fatal(err)
	}
	it := parseItem(t, `{"p":{"S":"a"},"v":{"N":"1"}}`)
	apply(&Command{Kind: Put, Timestamp: 1, Item: it})
	failed := &Command{Kind: Put, Request: RequestID{1, 1}, Timestamp: 2, Condition: absent, ReturnOnFailure: true, Item: it}
	first := apply(failed)
	if !errors.Is(first.Err, ErrConditionFailed) || !first.Attributes.Equal(it) {
		t.Fatalf("first answer %+v", first)
	}
	apply(&Command{Kind: Delete, Timestamp: 3, Item: parseItem(t, `{"p":{"S":"a"}}`)})
	if again := apply(failed); !reflect.DeepEqual(again, first) {
		t.Errorf("answered again with %+v, first %+v", again, first)
	}
	large := parseItem(t, fmt.Sprintf(`{"p":{"S":"b"},"v":{"S":%q}}`, strings.Repeat("x", windowAttributes)))
	apply(&Command{Kind: Put, Timestamp: 4, Item: large})
	get := &Command{Kind: Delete, Request: RequestID{1, 2}, Timestamp: 5, Return: AllOld, Item: parseItem(t, `{"p":{"S":"b"}}`)}
	if r := apply(get); r.Err != nil || !bytes.Equal(r.Attributes, large) {
		t.Fatalf("Delete: %+v", r.Err)
	}
	if r := apply(get); !errors.Is(r.Err, ErrFateUnknown) {
		t.Errorf("Delete again: %+v, want ErrFateUnknown", r)
	}
	two := p.Apply(p.Applied()+1, [][]byte{
		(&Command{Kind: Put, Request: RequestID{1, 3}, Timestamp: 6, Item: it}).Encode(),
		(&Command{Kind: Put, Request: RequestID{1, 3}, Timestamp: 6, Item: it}).Encode(),
	})
	if a, b := two[0].(*Result), two[1].(*Result); a.Err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("twice in an entry: %+v and %+v", a, b)
	}
}

// TestWindowGolden: records and floors have the bytes of version 1.
func TestWindowGolden(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	r := newRetrier(t, 1)
	p.Apply(2, [][]byte{r.next().bytes, r.next().bytes})
	var out strings.Builder
	for _, part := range [][]byte{appendWindowKey(nil, 7, 1), appendFloorKey(nil, 7, 0x0a0b)} {
		out.WriteString("key\n" + hex.Dump(part))
	}
	out.WriteString("record\n" + hex.Dump(p.window.ring[1]))
	out.WriteString("floor\n" + hex.Dump(floor{0x0c0d, 0x0e0f}.append(nil)))
	checkGolden(t, "testdata/window.v1.golden", out.String())
}

// TestNoRequestsNoWindow: commands without ids leave nothing behind.
func TestNoRequestsNoWindow(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	p, err := Open(db, 7)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	p.Apply(2, [][]byte{(&Command{Kind: Put, Timestamp: 1, Item: parseItem(t, `{"p":{"S":"a"}}`)}).Encode()})
	for _, part := range []byte{partWindow, partFloor} {
		if strings.Contains(stateOf(t, db), hex.EncodeToString(appendGroupKey(nil, 7, part))) {
			t.Errorf("part %d is not empty", part)
		}
	}
}

// FuzzWindowRecord: no stored bytes make loading a window panic.
func FuzzWindowRecord(f *testing.F) {
	db := openStore(f, vfs.NewMem())
	p, err := Open(db, 7)
	if err != nil {
		f.Fatal(err)
	}
	p.Apply(1, [][]byte{counterConfig()})
	r := newRetrier(f, 1)
	for index := uint64(2); index < 6; index++ {
		p.Apply(index, [][]byte{r.next().bytes, r.next().bytes})
		f.Add(bytes.Clone(p.window.ring[index-1]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !checkWindowRecord(b) {
			return
		}
		for id, offset := range requestsOf(b) {
			if id.Node == 0 && offset == 0 {
				t.Fatal("no place")
			}
			storedResult(b[offset:])
		}
	})
}
