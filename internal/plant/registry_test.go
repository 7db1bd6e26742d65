//go:build plantedbugs

package plant

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"testing"
)

func TestRegistryIsComplete(t *testing.T) {
	names := map[string]bool{}
	plain := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)
	for i, e := range Registry {
		if e.Bug != Bug(i+1) {
			t.Errorf("entry %d is of bug %d", i+1, e.Bug)
		}
		if names[e.Name] || !plain.MatchString(e.Name) {
			t.Errorf("name %q", e.Name)
		}
		names[e.Name] = true
		if e.Room == "" || e.What == "" || e.Found == "" || e.After == "" {
			t.Errorf("%s: incomplete", e.Name)
		}
		if found, err := Find(e.Name); err != nil || found.Bug != e.Bug {
			t.Errorf("Find(%s) = %v, %v", e.Name, found, err)
		}
	}
	if want := constants(t); len(Registry) != want {
		t.Errorf("%d entries for %d bugs", len(Registry), want)
	}
}

// constants counts the bugs that bugs.go declares.
func constants(t *testing.T) int {
	f, err := parser.ParseFile(token.NewFileSet(), "bugs.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(f.Decls[0].(*ast.GenDecl).Specs) - 1 // without None
}

func TestSet(t *testing.T) {
	defer Set(None)
	if Set(AckBeforeFsync); !On(AckBeforeFsync) || On(HardStateLost) || Reached() != 1 {
		t.Errorf("after Set: %v %v, reached %d", On(AckBeforeFsync), On(HardStateLost), Reached())
	}
	if Set(None); On(AckBeforeFsync) || Reached() != 0 {
		t.Error("after Set(None) the bug is still planted")
	}
}
