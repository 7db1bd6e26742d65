package item

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/statordb/stator/internal/jsonscan"
)

// kilobyte is an item of about 1 KB with 10 attributes, in the order in which
// a client with unordered maps may send them.
var kilobyte = []byte(`{"title":{"S":"` + strings.Repeat("The quick brown fox. ", 6) + `"},"pk":{"S":"customer#000042"},` +
	`"price":{"N":"1299.95"},"description":{"S":"` + strings.Repeat("jumps over the lazy dog ", 18) + `"},"sk":{"N":"1700000000123"},` +
	`"inStock":{"BOOL":true},"thumbnail":{"B":"` + strings.Repeat("AQIDBAUG", 16) + `"},"address":{"S":"` + strings.Repeat("Street 1, ", 10) + `"},` +
	`"comment":{"S":"` + strings.Repeat("none so far; ", 8) + `"},"version":{"N":"17"}}`)

// Measured on a shared 2-core AMD EPYC with Go 1.26, lowest of 60 runs of 5 ms,
// in ns: parse 780, of which the bare scan (skip) 233; valid 471;
// encoding/json into maps 10,079. AppendJSON 436; encoding/json 4,401. Get of
// the first and last attribute 11 and 12, of none 5; a Go map 7. Size 65,
// Check 232. Number: parse 33, text 7, add 30.

func parseKilobyte(tb testing.TB, dst []byte) Item {
	s := jsonscan.New(kilobyte)
	it, err := ParseItem(&s, dst)
	if err != nil {
		tb.Fatal(err)
	}
	return it
}

func BenchmarkParseItem(b *testing.B) {
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(kilobyte)))
		buf := make([]byte, 0, 4096)
		for b.Loop() {
			parseKilobyte(b, buf)
		}
	})
	b.Run("valid", func(b *testing.B) {
		b.SetBytes(int64(len(kilobyte)))
		for b.Loop() {
			if err := jsonscan.Valid(kilobyte, 100); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("skip", func(b *testing.B) { // the scan alone: what parsing cannot be cheaper than
		b.SetBytes(int64(len(kilobyte)))
		for b.Loop() {
			s := jsonscan.New(kilobyte)
			s.EnterObject()
			for _, ok := s.NextMember(); ok; _, ok = s.NextMember() {
				s.Skip()
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(kilobyte)))
		for b.Loop() {
			var m map[string]map[string]any
			if err := json.Unmarshal(kilobyte, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	it := parseKilobyte(b, nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(kilobyte)))
		var buf []byte
		for b.Loop() {
			buf = it.AppendJSON(buf[:0])
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		var m map[string]map[string]any
		if err := json.Unmarshal(kilobyte, &m); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.SetBytes(int64(len(kilobyte)))
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	it := parseKilobyte(b, nil)
	for _, name := range []string{"address", "version", "missing"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				it.Get(name)
			}
		})
	}
	m := map[string]Value{}
	for name, v := range it.All() {
		m[strings.Clone(name)] = v
	}
	b.Run("go-map", func(b *testing.B) {
		for b.Loop() {
			_ = m["version"]
		}
	})
}

func BenchmarkSize(b *testing.B) {
	it := parseKilobyte(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		it.Size()
	}
}

func BenchmarkCheck(b *testing.B) {
	it := parseKilobyte(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(it); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNumber(b *testing.B) {
	text := []byte("1299.95")
	n, _ := ParseNumber(text)
	one, _ := ParseNumber([]byte("1"))
	buf := make([]byte, 0, 200)
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			appendNumber(buf, text)
		}
	})
	b.Run("text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n.AppendText(buf)
		}
	})
	b.Run("add", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n.Add(one)
		}
	})
}
