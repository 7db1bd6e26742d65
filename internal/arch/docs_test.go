package arch

import (
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	docLink = regexp.MustCompile(`\]\(([^)#:]+)\)`) // not a URL
	docCode = regexp.MustCompile("`([\\w./*-]+)`")  // one word
	docFile = regexp.MustCompile(`^\w+\.go$`)       // without its directory
)

// TestDocsNameWhatExists checks the links of the documentation, and the paths
// and Go files that stand as code in it. A path counts from the module's root;
// one whose first directory the module does not have is about something else
// (net/http). A file named without its directory must be in some package.
func TestDocsNameWhatExists(t *testing.T) {
	fset := token.NewFileSet()
	files := map[string]bool{}
	for _, s := range sources(t, fset) {
		files[s.name] = true
	}
	checked := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		for _, page := range glob(t, root, pattern) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range docLink.FindAllStringSubmatch(string(text), -1) {
				checked++
				if glob(t, filepath.Dir(page), m[1]) == nil {
					t.Errorf("%s links to %s, which does not exist", page, m[1])
				}
			}
			for _, m := range docCode.FindAllStringSubmatch(string(text), -1) {
				if found, sought := inModule(t, m[1], files); sought {
					checked++
					if !found {
						t.Errorf("%s names %s, which does not exist", page, m[1])
					}
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d links and names found: the patterns miss them", checked)
	}
}

// inModule reports whether the name is one that should be in the module, and
// whether it is.
func inModule(t *testing.T, name string, files map[string]bool) (found, sought bool) {
	if docFile.MatchString(name) {
		return files[name], true
	}
	first, rest, _ := strings.Cut(name, "/")
	if first == "" || rest == "" || glob(t, root, first) == nil {
		return false, false
	}
	return glob(t, root, name) != nil, true
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
