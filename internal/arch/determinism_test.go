package arch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A checker looks through one package of a deterministic room.
type checker struct {
	fset  *token.FileSet
	info  *types.Info
	found []string

	excused map[string]map[int]bool // file → lines with //sim:ok reason
	sorted  map[*ast.CallExpr]bool  // calls whose result is sorted or collected at once
}

func check(fset *token.FileSet, info *types.Info, files []*ast.File) []string {
	c := &checker{fset: fset, info: info, excused: map[string]map[int]bool{}, sorted: map[*ast.CallExpr]bool{}}
	for _, f := range files {
		c.excuses(f)
		c.imports(f)
		ast.Inspect(f, c.node)
	}
	return c.found
}

// excuses notes the lines that a comment //sim:ok with a reason stands on or
// above.
func (c *checker) excuses(f *ast.File) {
	for _, group := range f.Comments {
		for _, comment := range group.List {
			reason, ok := strings.CutPrefix(comment.Text, "//sim:ok")
			if !ok {
				continue
			}
			p := c.fset.Position(comment.Pos())
			if strings.TrimSpace(reason) == "" {
				c.found = append(c.found, fmt.Sprintf("%s: //sim:ok needs a reason", p))
				continue
			}
			if c.excused[p.Filename] == nil {
				c.excused[p.Filename] = map[int]bool{}
			}
			c.excused[p.Filename][p.Line] = true
			c.excused[p.Filename][p.Line+1] = true
		}
	}
}

func (c *checker) report(at token.Pos, what, instead string) {
	p := c.fset.Position(at)
	if !c.excused[p.Filename][p.Line] {
		c.found = append(c.found, fmt.Sprintf("%s: %s; use %s", p, what, instead))
	}
}

func (c *checker) imports(f *ast.File) {
	for _, imp := range f.Imports {
		target, _ := strconv.Unquote(imp.Path.Value)
		for name, instead := range insteadOfImport {
			below := strings.HasSuffix(name, "/") && strings.HasPrefix(target, name)
			if target == name || below {
				c.report(imp.Pos(), "import of "+target, instead)
			}
		}
	}
}

// node checks one node; ast.Inspect brings them from the outside in.
func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n.Pos(), "go statement", insteadOfGo)
	case *ast.SelectStmt:
		c.report(n.Pos(), "select statement", insteadOfSelect)
	case *ast.SendStmt:
		c.report(n.Pos(), "channel send", insteadOfChannel)
	case *ast.ChanType:
		c.report(n.Pos(), "channel type", insteadOfChannel)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n.Pos(), "channel receive", insteadOfChannel)
		}
	case *ast.BasicLit:
		if n.Kind == token.STRING && strings.Contains(n.Value, "%p") {
			c.report(n.Pos(), "%p in a format", insteadOfPointer)
		}
	case *ast.CallExpr:
		c.call(n)
	case *ast.SelectorExpr:
		c.selector(n)
	case *ast.RangeStmt:
		c.rangeOver(n)
	}
	return true
}

// call remembers the arguments of calls that bring keys into order (or collect
// them, as a map range may).
func (c *checker) call(n *ast.CallExpr) {
	switch c.qualified(n.Fun) {
	case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc", "slices.Collect", "slices.AppendSeq", "maps.Collect", "maps.Insert":
		for _, arg := range n.Args {
			if inner, ok := arg.(*ast.CallExpr); ok {
				c.sorted[inner] = true
			}
		}
	case "maps.Keys", "maps.Values", "maps.All":
		if !c.sorted[n] {
			name := c.qualified(n.Fun)
			c.report(n.Pos(), name+" in map order", insteadOf[name])
		}
	}
}

// qualified returns "pkg.Name" for a name of an imported package.
func (c *checker) qualified(e ast.Expr) string {
	if index, ok := e.(*ast.IndexExpr); ok { // explicit type argument
		e = index.X
	}
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	pkg, ok := c.info.Uses[id].(*types.PkgName)
	if !ok {
		return ""
	}
	return pkg.Imported().Path() + "." + sel.Sel.Name
}

func (c *checker) selector(n *ast.SelectorExpr) {
	name := c.qualified(n)
	if strings.HasPrefix(name, "maps.") {
		return // see call
	}
	if instead, bad := insteadOf[name]; bad {
		c.report(n.Pos(), name, instead)
	}
}

func (c *checker) rangeOver(n *ast.RangeStmt) {
	switch c.underlying(n.X).(type) {
	case *types.Chan:
		c.report(n.Pos(), "range over a channel", insteadOfChannel)
	case *types.Map:
		own := map[types.Object]bool{}
		c.own(own, n.Key)
		c.own(own, n.Value)
		if !c.harmless(own, n.Body.List) {
			c.report(n.Pos(), "range over a map, in random order", insteadOfRange)
		}
	}
}

func (c *checker) underlying(e ast.Expr) types.Type {
	if t := c.info.TypeOf(e); t != nil {
		return t.Underlying()
	}
	return nil
}

// own adds the variable that e declares or names.
func (c *checker) own(vars map[types.Object]bool, e ast.Expr) {
	if id, ok := e.(*ast.Ident); ok {
		vars[c.info.ObjectOf(id)] = true
	}
}

// harmless reports whether the statements give the same for every order in
// which the body of a map range runs. own are the variables of one round.
func (c *checker) harmless(own map[types.Object]bool, list []ast.Stmt) bool {
	for _, s := range list {
		if !c.harmlessStmt(own, s) {
			return false
		}
	}
	return true
}

func (c *checker) harmlessStmt(own map[types.Object]bool, s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.AssignStmt:
		return c.harmlessAssign(own, s)
	case *ast.IncDecStmt:
		return true
	case *ast.DeclStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE && s.Label == nil
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return ok && (c.builtin(call, "delete") || c.builtin(call, "clear"))
	case *ast.ReturnStmt: // "is there one?"
		return !slices.ContainsFunc(s.Results, func(e ast.Expr) bool { return !c.constant(e) })
	case *ast.BlockStmt:
		return c.harmless(own, s.List)
	case *ast.IfStmt:
		return (s.Init == nil || c.harmlessStmt(own, s.Init)) && c.harmless(own, s.Body.List) &&
			(s.Else == nil || c.harmlessStmt(own, s.Else))
	case *ast.RangeStmt:
		c.own(own, s.Key)
		c.own(own, s.Value)
		return c.harmless(own, s.Body.List)
	}
	return false
}

// harmlessAssign permits new variables, changes of what belongs to the round,
// entries of maps, x = append(x, …), x = max(x, …) and sums of integers.
func (c *checker) harmlessAssign(own map[types.Object]bool, s *ast.AssignStmt) bool {
	for i, lhs := range s.Lhs {
		switch {
		case s.Tok == token.DEFINE:
			c.own(own, lhs)
		case c.belongs(own, lhs) || c.mapEntry(lhs):
		case s.Tok == token.ADD_ASSIGN || s.Tok == token.SUB_ASSIGN || s.Tok == token.OR_ASSIGN || s.Tok == token.XOR_ASSIGN:
			basic, ok := c.underlying(lhs).(*types.Basic)
			if !ok || basic.Info()&types.IsInteger == 0 {
				return false
			}
		case s.Tok == token.ASSIGN && len(s.Lhs) == len(s.Rhs):
			if !c.constant(s.Rhs[i]) && !c.accumulates(lhs, s.Rhs[i]) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// belongs reports whether e is a part of a variable of the round, or _.
func (c *checker) belongs(own map[types.Object]bool, e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "_" || own[c.info.ObjectOf(e)]
	case *ast.SelectorExpr:
		return c.belongs(own, e.X)
	case *ast.IndexExpr:
		return c.belongs(own, e.X)
	case *ast.StarExpr:
		return c.belongs(own, e.X)
	case *ast.ParenExpr:
		return c.belongs(own, e.X)
	}
	return false
}

func (c *checker) mapEntry(e ast.Expr) bool {
	index, ok := e.(*ast.IndexExpr)
	if !ok {
		return false
	}
	_, ok = c.underlying(index.X).(*types.Map)
	return ok
}

// accumulates reports whether rhs is append(lhs, …), max(lhs, …) or min.
func (c *checker) accumulates(lhs, rhs ast.Expr) bool {
	call, ok := rhs.(*ast.CallExpr)
	if !ok || !c.builtin(call, "append") && !c.builtin(call, "max") && !c.builtin(call, "min") && c.qualified(call.Fun) != "slices.AppendSeq" {
		return false
	}
	return types.ExprString(call.Args[0]) == types.ExprString(lhs)
}

func (c *checker) builtin(call *ast.CallExpr, name string) bool {
	id, ok := call.Fun.(*ast.Ident)
	if !ok || id.Name != name {
		return false
	}
	_, ok = c.info.Uses[id].(*types.Builtin)
	return ok
}

// constant reports whether e has one value for all rounds.
func (c *checker) constant(e ast.Expr) bool {
	tv := c.info.Types[e]
	return tv.IsNil() || tv.Value != nil && tv.Value.Kind() != constant.Unknown
}

// A listed package is what go list knows of it.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// list loads the module's packages and, for their types, all that they import.
func list(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func newInfo() *types.Info {
	return &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
}

func TestDeterministicRooms(t *testing.T) {
	pkgs := list(t)
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(pkgs[path].Export)
	})
	checked := 0
	for _, path := range slices.Sorted(maps.Keys(pkgs)) {
		p := pkgs[path]
		rel, ours := strings.CutPrefix(path, module+"/")
		if !ours || !slices.Contains(deterministic, room(rel)) || slices.Contains(shells, rel) {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Error(err)
				continue
			}
			files = append(files, f)
		}
		info := newInfo()
		conf := types.Config{Importer: imports, Error: func(err error) { t.Errorf("%v", err) }}
		_, _ = conf.Check(path, fset, files, info)
		for _, msg := range check(fset, info, files) {
			t.Error(msg)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no package was checked")
	}
}
