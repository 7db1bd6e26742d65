package partition

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/jsonscan"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/txn"
)

// parseItem reads an item from DynamoDB JSON.
func parseItem(t testing.TB, text string) item.Item {
	t.Helper()
	s := jsonscan.New([]byte(text))
	it, err := item.ParseItem(&s, nil)
	if err != nil {
		t.Fatalf("item %s: %v", text, err)
	}
	return it
}

func openStore(t testing.TB, fs vfs.FS) *lsm.DB {
	t.Helper()
	db, err := lsm.Open(env.New(), fs, StoreOptions(lsm.Options{DisableWAL: true}))
	if err != nil {
		t.Fatalf("lsm.Open: %v", err)
	}
	return db
}

// A script drives one partition. Commands:
//
//	configure        keys and indexes, one per line: hash p S · sort s N · index byX x S · range FIRST LAST
//	apply            one command per line, all in one log entry
//	get, scan        rows as stored, with timestamps
//	stats, reopen
//
// A line of apply is the kind and the item, then clauses separated by " | ":
// if CONDITION, do UPDATE, values JSON, return WHAT, on-failure, at TIME.
type script struct {
	t     *testing.T
	fs    vfs.FS
	db    *lsm.DB
	p     *Partition
	index uint64
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		fs := vfs.NewMem()
		s := &script{t: t, fs: fs, db: openStore(t, fs)}
		s.open()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
		if err := s.db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func (s *script) open() {
	p, err := Open(s.db, 7)
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	s.p = p
}

func (s *script) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "configure":
		return s.configure(d.Input)
	case "apply":
		return s.apply(d.Input)
	case "get":
		return s.get(d.Input)
	case "scan":
		return s.scan(d.HasArg("reverse"))
	case "stats":
		st := s.p.Stats()
		return fmt.Sprintf("items=%d bytes=%d applied=%d latest=%d\n", st.Items, st.Bytes, s.p.Applied(), s.p.Latest())
	case "reopen":
		if err := s.db.Close(); err != nil {
			s.t.Fatalf("Close: %v", err)
		}
		s.db = openStore(s.t, s.fs)
		s.open()
		return ""
	}
	s.t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	return ""
}

func (s *script) configure(input string) string {
	c := &Config{Version: 1, Last: ^uint64(0), Schema: Schema{Table: 1}}
	for line := range strings.Lines(input) {
		f := strings.Fields(line)
		switch f[0] {
		case "version":
			fmt.Sscan(f[1], &c.Version)
		case "hash":
			c.Schema.Hash = Key{f[1], item.TypeOf(f[2])}
		case "sort":
			c.Schema.Sort = Key{f[1], item.TypeOf(f[2])}
		case "range":
			fmt.Sscan(f[1], &c.First)
			fmt.Sscan(f[2], &c.Last)
		case "index":
			x := Index{Name: f[1], Hashes: 1}
			for i := 2; i < len(f); i += 2 {
				x.Keys = append(x.Keys, Key{f[i], item.TypeOf(f[i+1])})
			}
			c.Schema.Indexes = append(c.Schema.Indexes, x)
		}
	}
	cmd := Command{Kind: Configure, Config: c}
	return s.commit([][]byte{cmd.Encode()})
}

func (s *script) apply(input string) string {
	var commands [][]byte
	for line := range strings.Lines(input) {
		commands = append(commands, s.command(strings.TrimSpace(line)).Encode())
	}
	return s.commit(commands)
}

func (s *script) command(line string) *Command {
	clauses := strings.Split(line, " | ")
	kind, json, _ := strings.Cut(clauses[0], " ")
	c := &Command{Kind: map[string]Kind{"put": Put, "delete": Delete, "update": Update}[kind], Item: parseItem(s.t, json)}
	c.Timestamp = txn.Timestamp(100 * (s.index + 1))
	var values item.Item
	for _, clause := range clauses[1:] {
		if word, rest, _ := strings.Cut(clause, " "); word == "values" {
			values = parseItem(s.t, rest)
		}
	}
	params := expr.NewParams(nil, values)
	for _, clause := range clauses[1:] {
		var err error
		word, rest, _ := strings.Cut(clause, " ")
		switch word {
		case "if":
			c.Condition, err = expr.ParseCondition(expr.ConditionExpression, rest, params)
		case "do":
			c.Update, err = expr.ParseUpdate(rest, params)
		case "return":
			c.Return = map[string]ReturnValues{"ALL_OLD": AllOld, "ALL_NEW": AllNew, "UPDATED_OLD": UpdatedOld, "UPDATED_NEW": UpdatedNew}[rest]
		case "on-failure":
			c.ReturnOnFailure = true
		case "at":
			fmt.Sscan(rest, &c.Timestamp)
		}
		if err != nil {
			s.t.Fatalf("%s: %v", clause, err)
		}
	}
	return c
}

// commit applies one entry and prints the results. The commands are
// overwritten afterwards, as the log may do.
func (s *script) commit(commands [][]byte) string {
	s.index++
	var out strings.Builder
	answers := s.p.Apply(s.index, commands)
	for _, c := range commands {
		clear(c)
	}
	for _, a := range answers {
		r := a.(*Result)
		fmt.Fprintf(&out, "%d->%d", r.OldBytes, r.NewBytes)
		if r.Attributes != nil {
			fmt.Fprintf(&out, " %s", r.Attributes.AppendJSON(nil))
		}
		if r.Err != nil {
			fmt.Fprintf(&out, " refused: %v", r.Err)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func (s *script) get(input string) string {
	schema := &s.p.Config().Schema
	it, err := s.p.Get(schema.AppendRowKey(nil, parseItem(s.t, input)))
	if err != nil {
		return err.Error() + "\n"
	}
	if it == nil {
		return "none\n"
	}
	return string(it.AppendJSON(nil)) + "\n"
}

func (s *script) scan(reverse bool) string {
	lower, upper := s.p.Config().Schema.HashSpan(nil, 0, ^uint64(0))
	rows, err := s.p.Rows(RowOptions{Lower: lower, Upper: upper, Reverse: reverse})
	if err != nil {
		s.t.Fatalf("Rows: %v", err)
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		ts, _, _ := decodeRow(rows.it.Value())
		fmt.Fprintf(&out, "@%d %s\n", ts, rows.Item().AppendJSON(nil))
	}
	if rows.Err() != nil {
		fmt.Fprintln(&out, rows.Err())
	}
	return out.String()
}

// TestApplySkipsApplied: an entry that comes twice has its effects once.
func TestApplySkipsApplied(t *testing.T) {
	p, err := Open(openStore(t, vfs.NewMem()), 1)
	if err != nil {
		t.Fatal(err)
	}
	config := Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: Schema{Hash: Key{"p", item.S}}}}
	put := Command{Kind: Put, Item: parseItem(t, `{"p":{"S":"a"}}`), Timestamp: 5}
	p.Apply(1, [][]byte{config.Encode()})
	p.Apply(2, [][]byte{put.Encode()})
	p.Apply(2, [][]byte{put.Encode()})
	if got, want := p.Stats(), (Stats{Items: 1, Bytes: 2}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	p.Apply(3, nil)
	if got := p.Applied(); got != 3 {
		t.Errorf("Applied() = %d after an entry without commands, want 3", got)
	}
}

// TestOpenRefusesDamage: records of the group that fail their check are errors
// when the partition is opened.
func TestOpenRefusesDamage(t *testing.T) {
	for _, part := range []byte{partProgress, partConfig} {
		for _, bad := range []string{"", "\x02", "\x01short"} {
			db := openStore(t, vfs.NewMem())
			b := db.NewBatch()
			b.Set(appendGroupKey(nil, 3, part), []byte(bad))
			if err := db.Apply(b); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(db, 3); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrCommand) {
				t.Errorf("Open with part %d = %q: error %v, want ErrFormat or ErrCommand", part, bad, err)
			}
		}
	}
}

// TestRowDamage: a row with an unknown format is an error for readers and for
// the command that meets it, and other rows stay usable.
func TestRowDamage(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	p, err := Open(db, 1)
	if err != nil {
		t.Fatal(err)
	}
	config := Command{Kind: Configure, Config: &Config{Version: 1, Last: ^uint64(0), Schema: Schema{Hash: Key{"p", item.S}}}}
	p.Apply(1, [][]byte{config.Encode()})
	it := parseItem(t, `{"p":{"S":"a"}}`)
	key := p.Config().Schema.AppendRowKey(nil, it)
	b := db.NewBatch()
	b.Set(key, []byte{9, 9})
	if err := db.Apply(b); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(key); !errors.Is(err, ErrFormat) {
		t.Errorf("Get of a damaged row: error %v, want ErrFormat", err)
	}
	bad := Command{Kind: Put, Item: it, Timestamp: 5}
	good := Command{Kind: Put, Item: parseItem(t, `{"p":{"S":"b"}}`), Timestamp: 5}
	answers := p.Apply(2, [][]byte{bad.Encode(), good.Encode()})
	if r := answers[0].(*Result); !errors.Is(r.Err, ErrFormat) {
		t.Errorf("Put over a damaged row: error %v, want ErrFormat", r.Err)
	}
	if r := answers[1].(*Result); r.Err != nil {
		t.Errorf("Put of another row: error %v", r.Err)
	}
}

func TestRowKeysOrder(t *testing.T) {
	s := Schema{Table: 1, Hash: Key{"p", item.B}, Sort: Key{"s", item.N}}
	row := func(p string, n string) []byte {
		num, err := item.Num(n)
		if err != nil {
			t.Fatal(err)
		}
		return s.AppendRowKey(nil, item.NewItem(map[string]item.Value{"p": item.Bytes([]byte(p)), "s": num}))
	}
	numbers := []string{"-1e125", "-2", "-1.5", "-1e-130", "0", "1e-130", "0.1", "1", "1.01", "2", "10", "9e125"}
	for i := 1; i < len(numbers); i++ {
		a, b := row("k\x00", numbers[i-1]), row("k\x00", numbers[i])
		if bytes.Compare(a, b) >= 0 {
			t.Errorf("row keys of %s and %s are out of order", numbers[i-1], numbers[i])
		}
		lower := s.AppendCollectionKey(nil, item.Bytes([]byte("k\x00")))
		if !bytes.HasPrefix(a, lower) {
			t.Errorf("row key of %s does not begin with its collection key", numbers[i-1])
		}
		if upper := Successor(lower); bytes.Compare(b, upper) >= 0 {
			t.Errorf("row key of %s is not below the end of its collection", numbers[i])
		}
	}
}

func TestSuccessor(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a", "b"}, {"a\xff", "b"}, {"\x00", "\x01"}, {"a\xfe\xff\xff", "a\xff"}, {"\xff\xff", ""},
	} {
		if got := Successor([]byte(c.in)); string(got) != c.want {
			t.Errorf("Successor(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestSpans(t *testing.T) {
	s := Schema{Table: ^uint32(0), Hash: Key{"p", item.S}}
	key := s.AppendRowKey(nil, parseItem(t, `{"p":{"S":"a"}}`))
	inside := func(name string, lower, upper []byte) {
		if bytes.Compare(lower, key) > 0 || bytes.Compare(key, upper) >= 0 {
			t.Errorf("%s [%x, %x) does not hold %x", name, lower, upper, key)
		}
	}
	hash := RowHash(key)
	lower, upper := TableSpan(s.Table)
	inside("TableSpan", lower, upper)
	lower, upper = s.HashSpan(nil, 0, ^uint64(0))
	inside("HashSpan of all", lower, upper)
	lower, upper = s.HashSpan(nil, hash, hash)
	inside("HashSpan of one", lower, upper)
	if lower, _ = s.HashSpan(nil, hash+1, ^uint64(0)); bytes.Compare(key, lower) >= 0 {
		t.Errorf("HashSpan from %x holds hash %x", hash+1, hash)
	}
}
