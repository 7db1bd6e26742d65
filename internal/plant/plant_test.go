package plant

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// build builds a program and returns its bytes and the names of its functions and variables.
func build(t *testing.T, program string, flags ...string) (content, symbols []byte) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	args := append(append([]string{"build"}, flags...), "-o", out, program)
	if text, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if symbols, err = exec.Command("go", "tool", "nm", out).Output(); err != nil {
		t.Fatalf("go tool nm: %v", err)
	}
	return content, symbols
}

// A program without the tag has no trace of the bugs: neither what a site would
// do, nor a function or variable to ask, nor the names and sentences of the
// registry. With the tag it has what is looked for, so the search is able to find it.
func TestNoTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	const branch, symbol = "the branch of a planted bug", "internal/plant."
	for _, program := range []string{"./testdata/site", "../../cmd/stator"} {
		content, symbols := build(t, program)
		for _, trace := range append(registryTexts(t), branch) {
			if bytes.Contains(content, []byte(trace)) {
				t.Errorf("%s without planted bugs contains %q", program, trace)
			}
		}
		if bytes.Contains(symbols, []byte(symbol)) {
			t.Errorf("%s without planted bugs has symbols of this package", program)
		}
	}
	content, symbols := build(t, "./testdata/site", "-tags", "plantedbugs")
	if !bytes.Contains(content, []byte(branch)) || !bytes.Contains(symbols, []byte(symbol)) {
		t.Error("a program with planted bugs shows no trace of them")
	}
}

// registryTexts returns the longer string literals of registry.go.
func registryTexts(t *testing.T) (texts []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "registry.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && len(lit.Value) > 20 {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
		return true
	})
	if len(texts) < 30 {
		t.Fatalf("found %d texts in registry.go", len(texts))
	}
	return texts
}
