package expr

import (
	"testing"
)

func TestProjection(t *testing.T) {
	it := attrs(t, stored)
	for _, tt := range []struct{ text, want string }{
		{"n", `{"n":{"N":"5"}}`},
		{"n, s", `{"n":{"N":"5"},"s":{"S":"x"}}`},
		{"q", `{}`},
		{"q.r, n", `{"n":{"N":"5"}}`},
		{"m.x", `{"m":{"M":{"x":{"N":"1"}}}}`},
		{"m.y.z, m.x", `{"m":{"M":{"x":{"N":"1"},"y":{"M":{"z":{"S":"z"}}}}}}`},
		{"m.q", `{}`},
		{"m.y.q, m.x", `{"m":{"M":{"x":{"N":"1"}}}}`},
		{"l[3], l[1]", `{"l":{"L":[{"S":"1"},{"S":"3"}]}}`},
		{"l[99], l[0]", `{"l":{"L":[{"S":"0"}]}}`},
		{"l[4]", `{}`},
		{"m.l[0].q", `{"m":{"M":{"l":{"L":[{"M":{"q":{"N":"9"}}}]}}}}`},
		{"m.l[1], m.l[0].r", `{"m":{"M":{"l":{"L":[{"N":"8"}]}}}}`},
		{"s.x, n", `{"n":{"N":"5"}}`},
		{"l.x, m[0], ss[0]", `{}`},
		{"bare", `{"bare":{"L":[]}}`},
		{"bare[0]", `{}`},
	} {
		p, err := ParseProjection(tt.text, NewParams(nil, nil))
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got, want := p.Apply(it), attrs(t, tt.want); !got.Equal(want) {
			t.Errorf("%q = %s, want %s", tt.text, got, want)
		}
	}
}

func TestNoProjectionKeepsAll(t *testing.T) {
	it := attrs(t, stored)
	var p *Projection
	if got := p.Apply(it); !got.Equal(it) {
		t.Errorf("no projection gives %s", got)
	}
	for path := range p.Paths() {
		t.Errorf("no projection has path %s", path)
	}
	p, err := ParseProjection("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Apply(nil); got != nil {
		t.Errorf("of no item is %s", got)
	}
}

func TestProjectionPaths(t *testing.T) {
	p, err := ParseProjection("b.c[1], #a, b.d", NewParams(map[string]string{"#a": "x.y"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"[b, c, [1]]", "[x.y]", "[b, d]"}
	for path := range p.Paths() {
		if len(want) == 0 || path.String() != want[0] {
			t.Fatalf("path %s, want %v", path, want)
		}
		want = want[1:]
	}
	if len(want) > 0 {
		t.Errorf("missing paths %v", want)
	}
	for range p.Paths() {
		break
	}
}
