package partiql

import (
	"testing"

	"github.com/statordb/stator/item"
)

func BenchmarkParse(b *testing.B) {
	x := item.String("x")
	for _, bb := range []struct {
		name, text string
		parameters []item.Value
	}{
		{"select", "SELECT * FROM abc WHERE p = ? AND s = ?", []item.Value{x, x}},
		{"insert", "INSERT INTO abc VALUE {'p': ?, 's': 1, 'a': 'some text', 'm': {'k': [1, 2, 3]}}", []item.Value{x}},
		{"update", "UPDATE abc SET n = n + ? WHERE p = ? AND s = ? RETURNING ALL NEW *", []item.Value{item.Int(1), x, x}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(bb.text, bb.parameters); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
