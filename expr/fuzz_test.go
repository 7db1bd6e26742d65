package expr

import (
	"bytes"
	"errors"
	"testing"

	"github.com/statordb/stator/item"
)

// fuzzParams defines the placeholders of the tables, so that fuzzed texts
// often get past the checks of names and values.
func fuzzParams(f *testing.F) func() *Params {
	p := paramsFor(f)
	return func() *Params { return NewParams(p.names, p.values) }
}

// FuzzCondition: no text makes the parser panic; what it accepts prints as
// text with the same tree, survives the codec, and can be evaluated.
func FuzzCondition(f *testing.F) {
	for _, tt := range conditionMessages {
		f.Add(tt.text)
	}
	for _, tt := range keyConditionMessages {
		f.Add(tt.text)
	}
	params, it := fuzzParams(f), attrs(f, sample)
	var cache Cache
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseKeyCondition(text, params())
		checkCached(t, &cache, FilterExpression, text, params())
		c, err := ParseCondition(FilterExpression, text, params())
		if err != nil {
			message(t, err) // of the right type
			return
		}
		printed, again := renderCondition(c)
		if len(printed) <= maxTextBytes {
			if d := parseCondition(t, printed, again); !bytes.Equal(d.AppendBinary(nil), c.AppendBinary(nil)) {
				t.Errorf("%q is\n%s, but printed and parsed again\n%s", text, c, d)
			}
		}
		d, err := DecodeCondition(c.AppendBinary(nil))
		if err != nil {
			t.Fatalf("%q: decode: %v", text, err)
		}
		if c.Eval(it) != d.Eval(it) || c.Eval(nil) != d.Eval(nil) {
			t.Errorf("%q means something else after decoding", text)
		}
	})
}

// checkCached parses twice through a cache, the second time out of it.
func checkCached(t *testing.T, cache *Cache, kind Kind, text string, p *Params) {
	t.Helper()
	want := outcomeOf(t, kind, text, NewParams(p.names, p.values))
	for range 2 {
		if got := outcomeOf(t, kind, text, cache.Params(p.names, p.values)); got != want {
			t.Errorf("%q: through the cache %+v, without %+v", text, got, want)
		}
	}
}

// FuzzUpdate is FuzzCondition for updates; applied, they give a proper item
// or a message.
func FuzzUpdate(f *testing.F) {
	for _, tt := range updateMessages {
		f.Add(tt.text)
	}
	for _, tt := range applications {
		f.Add(tt.text)
	}
	params, it := fuzzParams(f), attrs(f, stored)
	var cache Cache
	f.Fuzz(func(t *testing.T, text string) {
		checkCached(t, &cache, UpdateExpression, text, params())
		u, err := ParseUpdate(text, params())
		if err != nil {
			message(t, err)
			return
		}
		printed, again := renderUpdate(u)
		if len(printed) <= maxTextBytes {
			if d := parseUpdate(t, printed, again); !bytes.Equal(d.AppendBinary(nil), u.AppendBinary(nil)) {
				t.Errorf("%q is\n%s, but printed and parsed again\n%s", text, u, d)
			}
		}
		d, err := DecodeUpdate(u.AppendBinary(nil))
		if err != nil {
			t.Fatalf("%q: decode: %v", text, err)
		}
		checkApply(t, u, d, it)
		checkApply(t, u, d, nil)
	})
}

func checkApply(t *testing.T, u, d *Update, it item.Item) {
	t.Helper()
	got, err := u.Apply(it)
	again, errAgain := d.Apply(it)
	if message(t, err) != message(t, errAgain) || !got.Equal(again) {
		t.Errorf("%s gives %s (%v), after decoding %s (%v)", u, got, err, again, errAgain)
	}
	if err != nil {
		return
	}
	if err := item.Check(got); err != nil {
		t.Errorf("%s: %v", u, err)
	}
	if p := u.Project(got); p != nil && item.Check(p) != nil {
		t.Errorf("%s projects %v", u, item.Check(p))
	}
}

func FuzzProjection(f *testing.F) {
	for _, tt := range projectionMessages {
		f.Add(tt.text)
	}
	f.Add("m.l[1], m.l[0].q, s, l[3]")
	params, it := fuzzParams(f), attrs(f, stored)
	var cache Cache
	f.Fuzz(func(t *testing.T, text string) {
		checkCached(t, &cache, ProjectionExpression, text, params())
		p, err := ParseProjection(text, params())
		if err != nil {
			message(t, err)
			return
		}
		if err := item.Check(p.Apply(it)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		d, err := DecodeProjection(p.AppendBinary(nil))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, want := d.Apply(it), p.Apply(it); !got.Equal(want) {
			t.Errorf("%q keeps %s, after decoding %s", text, want, got)
		}
	})
}

// FuzzDecode: any bytes are refused with an error of the codec, or are the one
// encoding of a tree that can be used.
func FuzzDecode(f *testing.F) {
	params := fuzzParams(f)
	for _, tt := range conditionMessages {
		if c, err := ParseCondition(FilterExpression, tt.text, params()); err == nil {
			f.Add(c.AppendBinary(nil))
		}
	}
	for _, tt := range updateMessages {
		if u, err := ParseUpdate(tt.text, params()); err == nil {
			f.Add(u.AppendBinary(nil))
		}
	}
	for _, tt := range projectionMessages {
		if p, err := ParseProjection(tt.text, params()); err == nil {
			f.Add(p.AppendBinary(nil))
		}
	}
	it := attrs(f, stored)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodeProjection(b); err == nil {
			if again := p.AppendBinary(nil); !bytes.Equal(again, b) {
				t.Errorf("%x encodes as %x", b, again)
			}
			p.Apply(it)
		} else if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Errorf("%x: %v", b, err)
		}
		if c, err := DecodeCondition(b); err == nil {
			if again := c.AppendBinary(nil); !bytes.Equal(again, b) {
				t.Errorf("%x encodes as %x", b, again)
			}
			c.Eval(it)
		} else if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Errorf("%x: %v", b, err)
		}
		if u, err := DecodeUpdate(b); err == nil {
			if again := u.AppendBinary(nil); !bytes.Equal(again, b) {
				t.Errorf("%x encodes as %x", b, again)
			}
			checkApply(t, u, u, it)
			checkApply(t, u, u, nil)
		} else if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
