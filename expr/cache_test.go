package expr

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"

	"github.com/statordb/stator/item"
)

// otherParams are parameters that differ from paramsFor in one respect each:
// what names mean, types of values, the values themselves, what is defined.
func otherParams(t testing.TB) []*Params {
	p := paramsFor(t)
	names := func(key, attr string) *Params {
		m := map[string]string{key: attr}
		for k, v := range p.names {
			if k != key {
				m[k] = v
			}
		}
		return NewParams(m, p.values)
	}
	values := func(json string) *Params {
		var b item.Builder
		for name, v := range p.values.All() {
			b.Set(name, v)
		}
		for name, v := range attrs(t, json).All() {
			b.Set(name, v)
		}
		return NewParams(p.names, b.Item())
	}
	return []*Params{
		p, names("#a", "c"), names("#b", "a"), names("#x", "new"),
		values(`{":s":{"S":"another"}}`), values(`{":s":{"N":"1"}}`), values(`{":n":{"N":"3"}}`), values(`{":n":{"S":"3"}}`),
		values(`{":m":{"N":"0"}}`), values(`{":0":{"S":"N"}}`), values(`{":0":{"S":"?"}}`), values(`{":l":{"L":[{"S":"x"}]}}`),
		values(`{":x":{"BOOL":true}}`), values(`{":ss":{"NS":["1"]}}`), NewParams(p.names, nil), NewParams(nil, p.values),
	}
}

// An outcome is all that parsing has to tell.
type outcome struct {
	tree    string // binary form, or the paths of a projection
	message string
	unused  string
}

func outcomeOf(t testing.TB, kind Kind, text string, p *Params) (o outcome) {
	t.Helper()
	var err error
	switch kind {
	case ProjectionExpression:
		var projection *Projection
		if projection, err = ParseProjection(text, p); err == nil {
			o.tree = fmt.Sprint(projection.paths)
		}
	case UpdateExpression:
		var u *Update
		if u, err = ParseUpdate(text, p); err == nil {
			o.tree = string(u.AppendBinary(nil))
		}
	default:
		var c *Condition
		if c, err = ParseCondition(kind, text, p); err == nil {
			o.tree = string(c.AppendBinary(nil))
		}
	}
	o.message, o.unused = message(t, err), message(t, p.Unused())
	return o
}

type kindAndText struct {
	kind Kind
	text string
}

func allTexts() (list []kindAndText) {
	for _, tt := range conditionMessages {
		list = append(list, kindAndText{ConditionExpression, tt.text}, kindAndText{FilterExpression, tt.text})
	}
	for _, tt := range updateMessages {
		list = append(list, kindAndText{UpdateExpression, tt.text})
	}
	for _, tt := range projectionMessages {
		list = append(list, kindAndText{ProjectionExpression, tt.text})
	}
	for _, tt := range keyConditionMessages {
		list = append(list, kindAndText{KeyConditionExpression, tt.text})
	}
	return list
}

// Whatever was parsed before, with whatever parameters: a cache changes
// nothing but the time it takes.
func TestCacheChangesNothing(t *testing.T) {
	texts, params := allTexts(), otherParams(t)
	var cache Cache
	var hits int
	check := func(rnd *rand.Rand, rounds int) {
		for range rounds {
			e, p := texts[rnd.Intn(len(texts))], params[rnd.Intn(len(params))]
			cached := cache.Params(p.names, p.values)
			if _, known := cached.cached(e.kind, e.text); known {
				hits++
				cached = cache.Params(p.names, p.values)
			}
			got, want := outcomeOf(t, e.kind, e.text, cached), outcomeOf(t, e.kind, e.text, NewParams(p.names, p.values))
			if got != want {
				t.Fatalf("%v %q:\n through the cache %+v\nwithout it         %+v", e.kind, e.text, got, want)
			}
		}
	}
	check(rand.New(rand.NewSource(1)), 20_000)
	if hits < 2_000 {
		t.Errorf("%d hits: the cache was hardly used", hits)
	}
}

// Many requests at a time may fill and read it.
func TestCacheShared(t *testing.T) {
	texts, params := allTexts(), otherParams(t)
	var cache Cache
	var tasks sync.WaitGroup
	for seed := range 4 {
		tasks.Go(func() {
			rnd := rand.New(rand.NewSource(int64(seed)))
			for range 2_000 {
				e, p := texts[rnd.Intn(len(texts))], params[rnd.Intn(len(params))]
				got := outcomeOf(t, e.kind, e.text, cache.Params(p.names, p.values))
				if want := outcomeOf(t, e.kind, e.text, NewParams(p.names, p.values)); got != want {
					t.Errorf("%v %q: got %+v, want %+v", e.kind, e.text, got, want)
				}
			}
		})
	}
	tasks.Wait()
}

// A tree belongs to its request: another one with the same text does not
// change it, and the cache holds on to none of its values.
func TestCachedTreesAreApart(t *testing.T) {
	var cache Cache
	parse := func(json string) *Update {
		return parseUpdate(t, "SET a = if_not_exists(a, :v) + :w", cache.Params(nil, attrs(t, json)))
	}
	first := parse(`{":v":{"N":"1"},":w":{"N":"2"}}`)
	before := first.AppendBinary(nil)
	second := parse(`{":v":{"N":"30"},":w":{"N":"40"}}`)
	if !bytes.Equal(first.AppendBinary(nil), before) {
		t.Errorf("the first tree became %s", first)
	}
	got, err := second.Apply(nil)
	if want := attrs(t, `{"a":{"N":"70"}}`); err != nil || !got.Equal(want) {
		t.Errorf("the second gives %s, %v, want %s", got, err, want)
	}
	for i := range cache.sets {
		if kept := cache.sets[i][0].Load(); kept != nil && strings.Contains(kept.update.String(), "30") {
			t.Errorf("kept %s", kept.update)
		}
	}
}

// A full set forgets its oldest text; long texts and many placeholders are not
// kept at all.
func TestCacheIsBounded(t *testing.T) {
	var cache Cache
	known := func(text string) bool {
		_, ok := cache.Params(nil, nil).cached(ProjectionExpression, text)
		return ok
	}
	parse := func(text string) {
		if _, err := ParseProjection(text, cache.Params(nil, nil)); err != nil {
			t.Fatal(err)
		}
	}
	set := cache.set("a0")
	texts := []string{"a0"}
	for i := 1; len(texts) <= cacheWays; i++ {
		if text := fmt.Sprint("a", i); cache.set(text) == set {
			texts = append(texts, text)
		}
	}
	for _, text := range texts {
		parse(text)
	}
	for i, text := range texts {
		if got, want := known(text), i > 0; got != want {
			t.Errorf("%s is known: %v, want %v", text, got, want)
		}
	}
	for _, size := range []int{maxCached, maxCached + 1} {
		text := strings.Repeat("a", size)
		parse(text)
		if got, want := known(text), size <= maxCached; got != want {
			t.Errorf("a text of %d bytes is known: %v, want %v", size, got, want)
		}
	}
	for _, count := range []int{maxUses, maxUses + 1} {
		names, text := map[string]string{}, ""
		for i := range count {
			names[fmt.Sprint("#", i)] = fmt.Sprint("n", i)
			text += fmt.Sprint(", #", i)
		}
		if _, err := ParseProjection(text[2:], cache.Params(names, nil)); err != nil {
			t.Fatal(err)
		}
		_, got := cache.Params(names, nil).cached(ProjectionExpression, text[2:])
		if want := count <= maxUses; got != want {
			t.Errorf("a text of %d names is known: %v, want %v", count, got, want)
		}
	}
}
