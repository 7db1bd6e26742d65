package expr

import "testing"

const (
	typicalCondition = "attribute_exists(#id) AND version = :v AND (price BETWEEN :low AND :high OR begins_with(sku, :prefix))"
	typicalUpdate    = "SET price = :low, version = version + :one, #m.#s = :prefix REMOVE draft ADD visits :one"
)

func typicalParams(b *testing.B) func() *Params {
	names := map[string]string{"#id": "id", "#m": "meta", "#s": "state"}
	values := attrs(b, `{":v":{"N":"3"},":low":{"N":"10"},":high":{"N":"99.5"},":prefix":{"S":"B-"},":one":{"N":"1"}}`)
	return func() *Params { return NewParams(names, values) }
}

const typicalItem = `{"id":{"S":"item#42"},"sk":{"S":"v1"},"version":{"N":"3"},"price":{"N":"120"},"sku":{"S":"B-1234"},"visits":{"N":"10"},
	"draft":{"BOOL":true},"tags":{"SS":["a","b","c"]},"text":{"S":"a somewhat longer text that is not looked at"},
	"meta":{"M":{"author":{"S":"me"},"state":{"S":"new"},"history":{"L":[{"N":"1"},{"N":"2"},{"N":"3"}]}}}}`

func BenchmarkParseCondition(b *testing.B) {
	params := typicalParams(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCondition(ConditionExpression, typicalCondition, params()); err != nil {
			b.Fatal(err)
		}
	}
}

// The same through a cache that knows it.
func BenchmarkCachedCondition(b *testing.B) {
	var cache Cache
	p := typicalParams(b)()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCondition(ConditionExpression, typicalCondition, cache.Params(p.names, p.values)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedUpdate(b *testing.B) {
	var cache Cache
	p := typicalParams(b)()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseUpdate(typicalUpdate, cache.Params(p.names, p.values)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseUpdate(b *testing.B) {
	params := typicalParams(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseUpdate(typicalUpdate, params()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	params := typicalParams(b)
	c, it := parseCondition(b, typicalCondition, params()), attrs(b, typicalItem)
	b.ReportAllocs()
	for b.Loop() {
		if !c.Eval(it) {
			b.Fatal("not met")
		}
	}
}

func BenchmarkEvalOneComparison(b *testing.B) {
	params := typicalParams(b)
	c, it := parseCondition(b, "version = :v", params()), attrs(b, typicalItem)
	b.ReportAllocs()
	for b.Loop() {
		if !c.Eval(it) {
			b.Fatal("not met")
		}
	}
}

func BenchmarkApply(b *testing.B) {
	params := typicalParams(b)
	u, it := parseUpdate(b, typicalUpdate, params()), attrs(b, typicalItem)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Apply(it); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProject(b *testing.B) {
	p, err := ParseProjection("id, price, meta.author, meta.history[2], tags", NewParams(nil, nil))
	if err != nil {
		b.Fatal(err)
	}
	it := attrs(b, typicalItem)
	b.ReportAllocs()
	for b.Loop() {
		p.Apply(it)
	}
}

func BenchmarkCodec(b *testing.B) {
	params := typicalParams(b)
	c, u := parseCondition(b, typicalCondition, params()), parseUpdate(b, typicalUpdate, params())
	encoded := u.AppendBinary(nil)
	b.Run("encode condition", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = c.AppendBinary(dst[:0])
		}
	})
	b.Run("decode condition", func(b *testing.B) {
		b.ReportAllocs()
		encoded := c.AppendBinary(nil)
		for b.Loop() {
			if _, err := DecodeCondition(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeUpdate(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
