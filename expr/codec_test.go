package expr

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewriteSamples = flag.Bool("rewrite", false, "write testdata/trees.v1 anew; only before version 1 is released")

// sampleTrees use every tag of the binary form.
var sampleTrees = []string{
	"FilterExpression a = :s OR b.c[1] <> :n OR c < :n OR d <= :n OR e > :n OR f >= :n",
	"FilterExpression (a BETWEEN :n AND :m) AND a IN (:n, b, size(c), size(:s)) AND NOT #dotted = :map",
	"FilterExpression attribute_exists(a.b) AND attribute_not_exists(c[200]) AND attribute_type(d, :0)",
	"FilterExpression begins_with(a, :b) AND contains(b, :bool) AND contains(c, :l)",
	"UpdateExpression SET a = :s, b.c = d, e = if_not_exists(e, :n) + :n, f = g - :m, h = list_append(h, :l) REMOVE i[3], j ADD k :n, l :ns DELETE m :bs",
	"ProjectionExpression a, b.c[1].d, b.c[0], #dotted",
}

// encodeSample parses "<kind> <text>" and returns the binary form.
func encodeSample(t *testing.T, line string) []byte {
	t.Helper()
	kind, text, _ := strings.Cut(line, " ")
	switch kind {
	case UpdateExpression.String():
		return parseUpdate(t, text, paramsFor(t)).AppendBinary(nil)
	case ProjectionExpression.String():
		p, err := ParseProjection(text, paramsFor(t))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return p.AppendBinary(nil)
	}
	return parseCondition(t, text, paramsFor(t)).AppendBinary(nil)
}

// decodeSample returns the tree as text.
func decodeSample(t *testing.T, line string, b []byte) string {
	t.Helper()
	if strings.HasPrefix(line, UpdateExpression.String()) {
		u, err := DecodeUpdate(b)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return u.String()
	}
	if strings.HasPrefix(line, ProjectionExpression.String()) {
		p, err := DecodeProjection(b)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return fmt.Sprint(slices.Collect(p.Paths()))
	}
	c, err := DecodeCondition(b)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return c.String()
}

// testdata/trees.v1 holds what version 1 writes: the expression, the binary
// form, the tree as text. Every later program must read it.
func TestReadsVersion1(t *testing.T) {
	const file = "testdata/trees.v1"
	if *rewriteSamples {
		var out strings.Builder
		for _, line := range sampleTrees {
			b := encodeSample(t, line)
			out.WriteString(line + "\n" + hex.EncodeToString(b) + "\n" + decodeSample(t, line, b) + "\n\n")
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	records := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	if len(records) != len(sampleTrees) {
		t.Fatalf("%d records, want %d", len(records), len(sampleTrees))
	}
	for _, record := range records {
		lines := strings.Split(record, "\n")
		b, err := hex.DecodeString(lines[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := decodeSample(t, lines[0], b); got != lines[2] {
			t.Errorf("%s\nreads as %s\nwant     %s", lines[1], got, lines[2])
		}
		if got := encodeSample(t, lines[0]); treeVersion == 1 && !bytes.Equal(got, b) {
			t.Errorf("%s\nis written as %x\nwant          %s", lines[0], got, lines[1])
		}
	}
}

func TestLegacyUpdateKeepsItsMeaning(t *testing.T) {
	u, err := FromAttributeUpdates([]LegacyUpdate{{Attr: "s", Action: "ADD", Value: value(t, `{"L":[]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeUpdate(u.AppendBinary(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Apply(attrs(t, stored))
	if got, want := message(t, err), "Type mismatch for attribute to update"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every way in which bytes can fail to be a tree has its reason.
func TestDecodeRefuses(t *testing.T) {
	path, n := "01"+"01"+"61", "03"+"02"+"80"+"00" // path a; a value that is not a number
	for _, tt := range []struct{ kind, hex, reason string }{
		{"condition", "", "no bytes"},
		{"condition", "02", "version 2"},
		{"condition", "00", "version 0"},
		{"condition", "01", "unexpected end"},
		{"condition", "0100", "unknown predicate"},
		{"condition", "010c", "unknown predicate"},
		{"condition", "0107" + path + "00", "trailing bytes"},
		{"condition", "010701", "bad number"},
		{"condition", "01070105", "unexpected end"},
		{"condition", "010700", "empty path"},
		{"condition", "010721" + strings.Repeat("0161", 33), "bad number"},
		{"condition", "0107010005", "path without a name"},
		{"condition", "0107010280ff", "name is not UTF-8"},
		{"condition", "01070201610080808080" + "08", "bad number"}, // position 2^31
		{"condition", "01078100" + "0161", "bad number"},           // not the shortest form
		{"condition", "0101" + "01" + "07" + path, "too few"},
		{"condition", "0102" + "ff7f" + "07" + path, "bad number"}, // more than there are bytes
		{"condition", "0103", "unexpected end"},
		{"condition", "0104" + "00" + "02" + path + "02" + path, "unknown comparator"},
		{"condition", "0104" + "07" + "02" + path + "02" + path, "unknown comparator"},
		{"condition", "0104" + "01" + "05" + path + "02" + path, "unknown operand"},
		{"condition", "0104" + "01" + "01" + n + "02" + path, "malformed"},
		{"condition", "0106" + "02" + path + "00", "too few"},
		{"condition", "0109" + "02" + path + "0b", "unknown type"},
		{"condition", "01" + strings.Repeat("03", 302) + "07" + path, "nested too deep"},
		{"update", "01", "unexpected end"},
		{"update", "0102", "unknown flags"},
		{"update", "010001", "unexpected end"},
		{"update", "01000104" + path, "unknown verb"},
		{"update", "01000100" + path + "00", "unknown source"},
		{"update", "01000100" + path + "07", "unknown source"},
		{"update", "01000102" + path + "03" + "010178", "operand of a wrong type"}, // ADD a S
		{"update", "01000102" + path + "03" + "060100", "operand of a wrong type"}, // ADD a L
		{"update", "01000103" + path + "04" + "02028002", "operand of a wrong type"},
		{"update", "01000201" + path + "01" + path, "paths overlap"},
		{"update", "01000201" + "02016101" + "62" + "01" + "02016100" + "00", "paths overlap"},
		{"update", "01000100" + path + strings.Repeat("03"+path, 302) + "02" + path, "nested too deep"},
		{"projection", "0100", "too few"},
		{"projection", "0102" + path, "bad number"},
		{"projection", "0101" + path + "00", "trailing bytes"},
		{"projection", "0102" + path + path, "paths overlap"},
	} {
		b, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		switch tt.kind {
		case "update":
			_, err = DecodeUpdate(b)
		case "projection":
			_, err = DecodeProjection(b)
		default:
			_, err = DecodeCondition(b)
		}
		if err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s %s: error %v, want %s", tt.kind, tt.hex, err, tt.reason)
		}
		if want := map[bool]error{true: ErrVersion, false: ErrMalformed}[strings.HasPrefix(tt.reason, "version")]; !errors.Is(err, want) {
			t.Errorf("%s %s: %v is not %v", tt.kind, tt.hex, err, want)
		}
	}
}

// Conditions nested as deep as any text nests them can be decoded.
func TestDecodeDeepest(t *testing.T) {
	c := parseCondition(t, strings.Repeat("NOT (", 299)+"attribute_exists(a)"+strings.Repeat(")", 299), paramsFor(t))
	if _, err := DecodeCondition(c.AppendBinary(nil)); err != nil {
		t.Error(err)
	}
	u := parseUpdate(t, "SET a = "+strings.Repeat("if_not_exists(b,", 200)+":n"+strings.Repeat(")", 200), paramsFor(t))
	if _, err := DecodeUpdate(u.AppendBinary(nil)); err != nil {
		t.Error(err)
	}
	if _, err := DecodeUpdate([]byte{treeVersion, 0, 0}); err != nil {
		t.Errorf("an update without actions: %v", err)
	}
}
