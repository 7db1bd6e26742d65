package partition

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/item"
)

var rewriteGolden = flag.Bool("rewrite-golden", false, "write testdata/*.golden anew")

// sampleCommands are one command of each shape.
func sampleCommands(t testing.TB) []Command {
	values := expr.NewParams(nil, parseItem(t, `{":n":{"N":"1"},":s":{"S":"x"}}`))
	condition, err := expr.ParseCondition(expr.ConditionExpression, "attribute_exists(p) AND a.b[1] < :n OR begins_with(q, :s)", values)
	if err != nil {
		t.Fatal(err)
	}
	update, err := expr.ParseUpdate("SET n = if_not_exists(n, :n) + :n REMOVE a.b[2]", values)
	if err != nil {
		t.Fatal(err)
	}
	key := parseItem(t, `{"p":{"S":"a"},"s":{"N":"-1.5"}}`)
	whole := parseItem(t, `{"p":{"S":"a"},"s":{"N":"-1.5"},"l":{"L":[{"BOOL":true},{"NULL":true}]},"b":{"B":"AAE="}}`)
	return []Command{
		{Kind: Configure, Config: &Config{Version: 3, First: 1 << 63, Last: ^uint64(0), Schema: Schema{
			Table: 9, Hash: Key{"p", item.S}, Sort: Key{"s", item.N},
			Indexes: []Index{
				{Name: "local", Local: true, Hashes: 1, Keys: []Key{{"p", item.S}, {"t", item.B}}},
				{Name: "global", Hashes: 2, Keys: []Key{{"x", item.S}, {"y", item.N}, {"z", item.B}}},
			},
		}}},
		{Kind: Configure, Config: &Config{Version: 1, Last: 5, Schema: Schema{Hash: Key{"p", item.B}}}},
		{Kind: Put, Timestamp: 0x0102030405060708, Item: whole},
		{Kind: Put, Timestamp: 1, Return: AllOld, ReturnOnFailure: true, Condition: condition, Item: whole},
		{Kind: Delete, Timestamp: 2, Return: AllOld, Condition: condition, Item: key},
		{Kind: Update, Timestamp: 3, Return: UpdatedNew, Condition: condition, Update: update, Item: key},
		{Kind: Update, Timestamp: 4, Item: key},
		{Kind: Update, Request: RequestID{Node: 0x0a0b, Number: 7}, Timestamp: 5, Return: AllNew, Update: update, Item: key},
	}
}

// TestCommandGolden: today's code writes and reads the bytes of version 1.
func TestCommandGolden(t *testing.T) {
	const file = "testdata/commands.v1.golden"
	var out strings.Builder
	commands := sampleCommands(t)
	for i := range commands {
		fmt.Fprintf(&out, "%v\n%s", commands[i].Kind, hex.Dump(commands[i].Encode()))
	}
	checkGolden(t, file, out.String())
}

func TestCommandRoundTrip(t *testing.T) {
	commands := sampleCommands(t)
	for i := range commands {
		b := commands[i].Encode()
		c, err := DecodeCommand(b)
		if err != nil {
			t.Errorf("DecodeCommand(%v %d): %v", commands[i].Kind, i, err)
			continue
		}
		if got := c.Encode(); !bytes.Equal(got, b) {
			t.Errorf("%v %d: encoded again as %x, want %x", c.Kind, i, got, b)
		}
		for cut := range len(b) {
			if c, err := DecodeCommand(b[:cut]); err == nil && c.Kind == Configure {
				t.Errorf("DecodeCommand accepts %d of %d bytes of a configuration", cut, len(b))
			}
		}
	}
}

func TestCommandRefusals(t *testing.T) {
	put := Command{Kind: Put, Timestamp: 1, Item: parseItem(t, `{"p":{"S":"a"}}`)}
	for _, c := range []struct {
		what string
		at   int
		b    byte
	}{
		{"version 3", 0, 3}, {"version 2 without a node", 0, 2}, {"kind 9", 1, 9}, {"ReturnValues 7", 10, 7}, {"unknown wish", 10, 0x10},
		{"condition beyond the end", 11, 0x7f}, {"update of a put", 12, 1},
	} {
		b := put.Encode()
		b[c.at] = c.b
		if _, err := DecodeCommand(b); !errors.Is(err, ErrCommand) {
			t.Errorf("DecodeCommand of %s: error %v, want ErrCommand", c.what, err)
		}
	}
}

// FuzzDecodeCommand: no bytes make the decoder or Apply panic, and what is
// decoded is encoded and decoded again to the same command.
func FuzzDecodeCommand(f *testing.F) {
	commands := sampleCommands(f)
	for i := range commands {
		f.Add(commands[i].Encode())
	}
	schema := indexedSchema()
	batch := NewEntryBatch(3)
	it := parseItem(f, `{"p":{"S":"a"},"s":{"N":"1"},"t":{"B":"AA=="},"x":{"S":"b"},"y":{"N":"7"},"z":{"N":"0"}}`)
	batch.Put(1, schema.AppendEntryKey(nil, &schema.Indexes[1], it), 5, it)
	batch.Delete(2, schema.AppendEntryKey(nil, &schema.Indexes[1], it))
	f.Add(batch.Encode(2))
	f.Add((&Command{Kind: Trim, Through: 1}).Encode())
	f.Add((&Command{Kind: Configure, Config: &Config{Version: 3, Last: 9, Schema: facetSchema()}}).Encode())
	f.Add((&Command{Kind: Backfill, Index: schema.Indexes[1].ID, Rows: 2}).Encode())
	f.Add((&Command{Kind: SplitOff, Split: &Split{At: 1 << 62, Child: 9, Voters: []uint64{1, 2}, Local: []Stats{{1, 2}}}}).Encode())
	for _, c := range sampleTransactions(f) {
		f.Add(c.Encode())
	}
	db := openStore(f, vfs.NewMem())
	p, err := Open(db, 1)
	if err != nil {
		f.Fatal(err)
	}
	config := sampleCommands(f)[0]
	config.Config.First = 0
	config.Config.Schema = schema
	p.Apply(1, [][]byte{config.Encode()})
	entries, err := Open(db, 2)
	if err != nil {
		f.Fatal(err)
	}
	config.Config.Entries, config.Config.Schema = true, Schema{Table: schema.Indexes[1].ID, Hash: schema.Hash, Indexes: schema.Indexes[1:]}
	entries.Apply(1, [][]byte{config.Encode()})
	index := uint64(1)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			if !errors.Is(err, ErrCommand) {
				t.Fatalf("error %v is not ErrCommand", err)
			}
			return
		}
		first := c.Encode()
		again, err := DecodeCommand(first)
		if err != nil {
			t.Fatalf("encoded command is refused: %v", err)
		}
		if second := again.Encode(); !bytes.Equal(first, second) {
			t.Fatalf("encoded as %x, then as %x", first, second)
		}
		if c.Kind == Configure {
			return
		}
		index++
		if n := len(p.Apply(index, [][]byte{b, b})); n != 2 {
			t.Fatalf("%d results for 2 commands", n)
		}
		entries.Apply(index, [][]byte{b, b})
	})
}
