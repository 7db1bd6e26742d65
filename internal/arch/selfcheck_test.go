package arch

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// bad sources, each with what the checker must say about it.
var bad = map[string]string{
	`func f() { go f() }`:                                                                         "go statement; use env.Env.Go",
	`func f() { select {} }`:                                                                      "select statement; use env.WaitAny",
	`var c chan int`:                                                                              "channel type; use env.Queue",
	`func f(c C) { c <- 1 }; type C = interface{}`:                                                "channel send",
	`func f(c C) { <-c }; type C = interface{}`:                                                   "channel receive",
	`import "time"; var _ = time.Now()`:                                                           "time.Now; use env.Env.Now",
	`import t "time"; func f() { t.Sleep(t.Second) }`:                                             "time.Sleep; use env.Env.Sleep",
	`import "time"; var f = time.AfterFunc`:                                                       "time.AfterFunc; use env.Env.After",
	`import "time"; var x *time.Ticker`:                                                           "time.Ticker",
	`import "context"; var _ context.Context`:                                                     "import of context; use deadlines",
	`import "math/rand/v2"; var _ = rand.Int()`:                                                   "import of math/rand/v2; use env.Env.Rand",
	`import "crypto/rand"; var _ = rand.Reader`:                                                   "import of crypto/rand",
	`import "os"; var _ = os.Args`:                                                                "import of os; use internal/vfs",
	`import "os/exec"; var _ exec.Cmd`:                                                            "import of os/exec",
	`import "net/http"; var _ http.Header`:                                                        "import of net/http; use a transport",
	`import "syscall"; var _ = syscall.EIO`:                                                       "import of syscall",
	`import "hash/maphash"; var _ maphash.Hash`:                                                   "import of hash/maphash",
	`import "sync"; var mu sync.Mutex`:                                                            "sync.Mutex; use env.Leaf",
	`import "sync"; type t struct { sync.WaitGroup }`:                                             "sync.WaitGroup; use env.Group",
	`import "sync"; var p = sync.Pool{}`:                                                          "sync.Pool",
	`import "fmt"; func f(x *int) string { return fmt.Sprintf("%p", x) }`:                         "%p in a format",
	`import "runtime"; func f() { runtime.Gosched() }`:                                            "runtime.Gosched; use env.Env.Yield",
	`import "maps"; func f(m map[int]int) { for range maps.Keys(m) {} }`:                          "maps.Keys in map order; use slices.Sorted",
	`func f(m map[int]int) { for k := range m { g(k) } }; func g(int) {}`:                         "range over a map, in random order; use slices.Sorted",
	`func f(m map[int]int) (x int) { for k := range m { x = k }; return x }`:                      "range over a map",
	`func f(m map[int]int) int { for k := range m { return k }; return 0 }`:                       "range over a map",
	`func f(m map[int]string) (s string) { for _, v := range m { s += v }; return s }`:            "range over a map",
	`func f(m map[int]float64) (s float64) { for _, v := range m { s += v }; return s }`:          "range over a map",
	`func f(m map[int]int) { for k := range m { if k > 1 { break } } }`:                           "range over a map",
	`func f(m map[int]int, s []int) { for k, v := range m { s[0] = k+v } }`:                       "range over a map",
	`func f(m map[int]int, x, y []int) []int { for k := range m { x = append(y, k) }; return x }`: "range over a map",
	`type t map[int]int; func f(m t) { for k := range m { defer g(k) } }; func g(int) {}`:         "range over a map",
	"func f() { //sim:ok\n go f() }":                                                              "//sim:ok needs a reason",
}

// good sources, about which it must say nothing.
var good = []string{
	`import "time"; const d = 3 * time.Second; func f(d time.Duration) string { return d.String() }`,
	`import "sync/atomic"; var x atomic.Int64`,
	`type clock struct{}; func (clock) Now() int { return 1 }; func f() int { var time clock; return time.Now() }`,
	`import ("maps"; "slices"); func f(m map[int]int) []int { return slices.Sorted(maps.Keys(m)) }`,
	`func f(s []int) { for k := range s { g(k) } }; func g(int) {}`,
	`func f(m map[int]int) (ks []int) { for k := range m { if k > 1 { ks = append(ks, k) } }; return ks }`,
	`func f(m map[int]int) (n, sum, most int) { for _, v := range m { n++; sum += v; most = max(most, v) }; return }`,
	`func f(m map[int]int) map[int]int { c := map[int]int{}; for k, v := range m { c[k] = v }; return c }`,
	`func f(m map[int]int) { for k := range m { if k < 3 { continue }; delete(m, k) } }`,
	`func f(m map[int]int) bool { for _, v := range m { if v == 3 { return true } }; return false }`,
	`type t struct{ dead bool }; func f(m map[int]*t) { for _, v := range m { x := v; x.dead = true } }`,
	`func f(m map[int][]int) (all []int) { for _, vs := range m { for _, v := range vs { all = append(all, v) } }; return }`,
	"func f() {\n go f() //sim:ok the reason\n }",
	"func f() {\n //sim:ok the reason\n go f()\n }",
}

func checkText(t *testing.T, text string) []string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", "package x; "+text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	info := newInfo()
	conf := types.Config{Importer: stdImporter, Error: func(error) {}}
	_, _ = conf.Check("x", fset, []*ast.File{f}, info)
	return check(fset, info, []*ast.File{f})
}

var stdImporter = importer.Default()

func TestCheckerFindsBadSources(t *testing.T) {
	for text, want := range bad {
		if got := strings.Join(checkText(t, text), "\n"); !strings.Contains(got, want) {
			t.Errorf("%s\n\tgot  %q\n\twant %q", text, got, want)
		}
	}
}

func TestCheckerAcceptsGoodSources(t *testing.T) {
	for _, text := range good {
		if got := checkText(t, text); len(got) != 0 {
			t.Errorf("%s\n\tgot %q", text, got)
		}
	}
}

// A message without a substitute leaves the reader where he was.
func TestRulesNameSubstitutes(t *testing.T) {
	for name, instead := range insteadOfImport {
		if instead == "" {
			t.Errorf("import rule %q names no substitute", name)
		}
	}
	for name, instead := range insteadOf {
		if instead == "" {
			t.Errorf("rule %q names no substitute", name)
		}
	}
}
