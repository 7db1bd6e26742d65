package expr

import (
	"strings"
	"testing"
)

// projectSlowly returns the parts of a document that the paths lead to.
func projectSlowly(doc document, paths [][]any) document {
	part := document{}
	for name, v := range doc {
		if v := reduceSlowly(v.(document), behind(paths, name)); v != nil {
			part[name] = v
		}
	}
	return part
}

// behind returns what is left of the paths that begin with a step.
func behind(paths [][]any, step any) (rest [][]any) {
	for _, p := range paths {
		if p[0] == step {
			rest = append(rest, p[1:])
		}
	}
	return rest
}

// reduceSlowly is projectSlowly for a value; nil is nothing.
func reduceSlowly(v document, paths [][]any) document {
	switch tag, c := content(v); {
	case len(paths) == 0:
		return nil
	case len(paths[0]) == 0:
		return v
	case tag == "M":
		if part := projectSlowly(c.(document), paths); len(part) > 0 {
			return document{"M": part}
		}
	case tag == "L":
		part := []any{}
		for i, e := range c.([]any) {
			if e := reduceSlowly(e.(document), behind(paths, i)); e != nil {
				part = append(part, e)
			}
		}
		if len(part) > 0 {
			return document{"L": part}
		}
	}
	return nil
}

// Projections, and what UPDATED_OLD and UPDATED_NEW return of an item, which is
// the same for the paths of an update.
func TestDifferentialProjection(t *testing.T) {
	parsed, found := 0, 0
	for s := *seed; s < *seed+uint64(*rounds); s++ {
		g := newGenerator(s)
		var paths [][]any
		var texts []string
		for range 1 + g.IntN(4) {
			path := g.path().path
			paths, texts = append(paths, path), append(texts, pathText(path))
		}
		text := strings.Join(texts, ", ")
		p, err := ParseProjection(text, nil)
		if err != nil {
			if m := message(t, err); !strings.Contains(m, "Two document paths") {
				t.Fatalf("-seed %d: %q: %v", s, text, err)
			}
			continue
		}
		u := parseUpdate(t, "REMOVE "+text, nil)
		parsed++
		for range 4 {
			doc := g.attributes(3)
			slow := projectSlowly(doc, paths)
			it, want := toItem(t, doc), toItem(t, slow)
			if got := p.Apply(it); !got.Equal(want) {
				t.Fatalf("-seed %d: %q of %v is\n%s, want\n%s", s, text, doc, got, want)
			}
			if len(slow) == 0 {
				want = nil
			} else {
				found++
			}
			if got := u.Project(it); !got.Equal(want) {
				t.Fatalf("-seed %d: the paths of REMOVE %s in %v are\n%s, want\n%s", s, text, doc, got, want)
			}
		}
	}
	if parsed < *rounds/2 || found < parsed {
		t.Errorf("of %d projections %d were well-formed and %d found something: not much of a test", *rounds, parsed, found)
	}
}
