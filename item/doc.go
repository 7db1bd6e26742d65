// Package item holds DynamoDB's data model: attribute values, numbers, items,
// their sizes, their JSON and the order of their keys.
//
// A Value and an Item are bytes, not trees. JSON is parsed straight into the
// form that is stored and replicated, and written straight out of it; looking
// up an attribute touches a short directory and one entry:
//
//	it, err := item.ParseItem(&scanner, nil)
//	v, ok := it.Get("price")      // no allocation; v aliases it
//	out = it.AppendJSON(out)
//
// The form is canonical: two values are equal in DynamoDB's sense exactly if
// their bytes are. Sets are sorted, maps are sorted by name, and a number has
// one spelling.
//
// # Form
//
// Sizes and counts are unsigned LEB128 varints in their shortest form
// ("uvarint"); fixed-width integers are little-endian.
//
//	value    | tag 1B | payload size uvarint | payload |
//
//	tag  1 S     UTF-8 text
//	     2 N     a Number (see below)
//	     3 B     bytes
//	     4 BOOL  1B: 0 false, 1 true
//	     5 NULL  nothing
//	     6 L     | count uvarint | values ... |
//	     7 M     an item
//	     8 SS    | count uvarint | S values, ascending by bytes, no two equal |
//	     9 NS    | count uvarint | N values, ascending by number, no two equal |
//	    10 BS    | count uvarint | B values, ascending by bytes, no two equal |
//
//	item     | count<<2 + layout uvarint | prints | ends | entries |
//	prints   1B per attribute: a hash of its name
//	ends     per attribute where its entry ends, counted from the first entry:
//	         2B each in layout 0, 4B each in layout 1
//	entries  | name size uvarint | name | value |, ascending by name bytes
//
// Layout is 0 exactly if the entries take less than 64 KiB. Tags above 10 and
// layouts 2 and 3 are free for later forms; a reader refuses them.
//
//	number   | sign and exponent 1B | digit pairs ... |
//
// The digits are paired around the decimal point, so a number is ±Σ pᵢ·100^(e-i)
// with 0 ≤ pᵢ ≤ 99, -65 ≤ e ≤ 62 and the first and last pair not 0. The first
// byte is 0x80+65+e; each pair is the byte 2p+1, the last one 2p. For negative
// numbers all these bytes are complemented. Zero is 0x80 0x00. So bytes compare
// as numbers do, and a number ends where its own bytes say.
//
// docs/formats/item.md shows examples. A row that stores an item puts a format
// byte of its own in front; the form here has no version beside the free tags
// and layouts.
//
// Trust: methods assume canonical bytes. Constructors and parsers make them;
// bytes from disk or wire go through Check or CheckValue first.
//
// Reading order: value.go, item.go, number.go, then parse.go (JSON in),
// json.go (JSON out), build.go, node.go (updates), key.go, check.go.
package item
