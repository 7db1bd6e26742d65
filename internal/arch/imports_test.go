package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A source is one parsed file of the module.
type source struct {
	pkg  string // directory relative to the module's root, "" for the root
	name string
	ast  *ast.File
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// root is the module's directory, as seen from here.
const root = "../.."

// sources parses all files of the module, whatever their build tags. Other
// modules within the tree (bench/peers) are not part of it.
func sources(t *testing.T, fset *token.FileSet) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(name, d.Name())
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(name))
		pkg := filepath.ToSlash(rel)
		if pkg == "." {
			pkg = ""
		}
		all = append(all, source{pkg: pkg, name: d.Name(), ast: f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func enter(dir, base string) error {
	if dir == root {
		return nil
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// room returns the room that a package belongs to.
func room(pkg string) string {
	parts := strings.Split(pkg, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// checkImport returns what is wrong with pkg importing target, or "".
func checkImport(pkg, target string) string {
	from, to := room(pkg), room(target)
	if from == to {
		return ""
	}
	fromStorey, known := storeys[from]
	if !known {
		return fmt.Sprintf("room %q has no storey: add it to rules_test.go", from)
	}
	toStorey, known := storeys[to]
	switch {
	case !known:
		return fmt.Sprintf("room %q has no storey: add it to rules_test.go", to)
	case toStorey > fromStorey:
		return fmt.Sprintf("imports run downhill: %q (storey %d) may not import %q (storey %d); declare the interface you need instead", from, fromStorey, to, toStorey)
	case toStorey == fromStorey:
		return fmt.Sprintf("rooms on one storey do not know each other: %q may not import %q; let the storey above join them", from, to)
	}
	if target == to {
		return ""
	}
	guests, open := doors[target]
	if !open || guests != nil && !slices.Contains(guests, from) {
		return fmt.Sprintf("%s is private to room %q; import %q, or make it a door in rules_test.go", target, to, to)
	}
	return ""
}

func TestImportsRunDownhill(t *testing.T) {
	fset := token.NewFileSet()
	for _, s := range sources(t, fset) {
		if s.test() {
			continue // tests may use what stands above, and compare with what is beside
		}
		for _, imp := range s.ast.Imports {
			target, _ := strconv.Unquote(imp.Path.Value)
			rel, ours := strings.CutPrefix(target+"/", module+"/")
			if !ours {
				continue
			}
			if msg := checkImport(s.pkg, strings.TrimSuffix(rel, "/")); msg != "" {
				t.Errorf("%s: %s", fset.Position(imp.Pos()), msg)
			}
		}
	}
}

func TestCheckImport(t *testing.T) {
	for _, c := range []struct{ pkg, target, want string }{
		{"table", "partition", ""},
		{"table", "lsm", ""},
		{"lsm", "lsm/wal", ""},
		{"lsm/wal", "internal/vfs", ""},
		{"replication", "lsm/wal", ""},
		{"replication/raftlog", "lsm/wal", ""},
		{"server/api", "lsm/corrupt", ""},
		{"statortest", "", ""},
		{"cmd/stator", "", ""},
		{"partition", "table", "downhill"},
		{"item", "expr", "downhill"},
		{"internal/vfs", "lsm", "downhill"},
		{"server", "", "downhill"},
		{"lsm", "txn", "one storey"},
		{"internal/env", "internal/vfs", "one storey"},
		{"partition", "lsm/wal", "private"},
		{"table", "lsm/sstable", "private"},
		{"newroom", "item", "no storey"},
		{"table", "newroom", "no storey"},
	} {
		got := checkImport(c.pkg, c.target)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("checkImport(%q, %q) = %q, want %q", c.pkg, c.target, got, c.want)
		}
	}
}

// checkComments returns the packages of files that do not introduce
// themselves.
func checkComments(files []source) []string {
	introduced := map[string]bool{}
	for _, f := range files {
		if f.test() {
			continue
		}
		doc := f.ast.Doc.Text()
		ok := strings.HasPrefix(doc, "Package "+f.ast.Name.Name+" ") || f.ast.Name.Name == "main" && doc != ""
		introduced[f.pkg] = introduced[f.pkg] || ok
	}
	var silent []string
	for pkg, ok := range introduced {
		if !ok {
			silent = append(silent, path.Join(module, pkg))
		}
	}
	slices.Sort(silent)
	return silent
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, pkg := range checkComments(sources(t, token.NewFileSet())) {
		t.Errorf("%s has no package comment: begin one of its files with // Package ... and say what it is for", pkg)
	}
}

func TestCheckComments(t *testing.T) {
	parse := func(pkg, text string) source {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		return source{pkg: pkg, name: "x.go", ast: f}
	}
	got := checkComments([]source{
		parse("good", "// Package good is good.\npackage good"),
		parse("good", "package good"),
		parse("cmd/tool", "// Tool does it.\npackage main"),
		parse("silent", "package silent"),
		parse("apart", "// Package apart is.\n\npackage apart"),
		parse("wrong", "// Something else.\npackage wrong"),
	})
	want := []string{module + "/apart", module + "/silent", module + "/wrong"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Drawers without a name of their own.
func TestNoDrawers(t *testing.T) {
	for _, s := range sources(t, token.NewFileSet()) {
		switch s.ast.Name.Name {
		case "util", "utils", "common", "base", "types", "helpers", "helper", "misc", "shared":
			t.Errorf("package %s in %q is named after nothing: give it the word one would search for", s.ast.Name.Name, s.pkg)
		}
	}
}
