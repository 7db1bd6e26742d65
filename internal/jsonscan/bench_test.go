package jsonscan

import (
	"strings"
	"testing"
)

func BenchmarkQuoted(b *testing.B) {
	for _, n := range []string{"short", "long", "huge"} {
		size := map[string]int{"short": 12, "long": 200, "huge": 100_000}[n]
		text := []byte(`"` + strings.Repeat("x", size) + `"`)
		b.Run(n, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				s := New(text)
				s.Quoted()
			}
		})
	}
}

func BenchmarkAppendString(b *testing.B) {
	for _, n := range []string{"short", "long", "escapes", "foreign"} {
		text := map[string][]byte{
			"short":   []byte("customer#0042"),
			"long":    []byte(strings.Repeat("plain text ", 50)),
			"escapes": []byte(strings.Repeat("a \"quoted\"\n line ", 40)),
			"foreign": []byte(strings.Repeat("日本語テキスト", 30)),
		}[n]
		buf := make([]byte, 0, 4096)
		b.Run(n, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				AppendString(buf, text)
			}
		})
	}
}
