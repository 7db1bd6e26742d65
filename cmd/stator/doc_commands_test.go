package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// indented matches lines of a block that is set in by four spaces.
var indented = regexp.MustCompile(`(?m)^    (\S.*)$`)

// Each call of the program on pages for users is one that it understands. Pages about measuring have a test
// of their own, which does more.
func TestPagesForUsers(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(testSourceAt, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, filepath.Join(testSourceAt, "README.md"))
	var texts []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	t.Chdir(t.TempDir())
	for _, dir := range []string{"data", "stator-data", "results"} { // that commands read
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"languages.json", "cities.csv", "r.json", "base.json", "head.json", "trace.bin", "h.edn", "h.jsonl", "FILE"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for i, text := range texts {
		for _, call := range calls(text) {
			seen++
			if err := understood(call); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(pages[i]), call, err)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d calls found", seen)
	}
	for _, call := range []string{"stator serve --adr x", "stator sim rnu", "stator admin kil 2", "stator bench run --rounds many"} {
		if understood(call) == nil {
			t.Errorf("%s is understood", call)
		}
	}
}

// calls returns the calls of the program in a page: lines of blocks, and spans that have a flag. What has dots in it is a part of one.
func calls(page string) (found []string) {
	var lines []string
	for _, m := range codeBlock.FindAllStringSubmatch(page, -1) {
		lines = append(lines, strings.Split(m[1], "\n")...)
	}
	rest := codeBlock.ReplaceAllString(page, "")
	for _, m := range indented.FindAllStringSubmatch(rest, -1) {
		lines = append(lines, m[1])
	}
	for _, m := range codeSpan.FindAllStringSubmatch(rest, -1) {
		if strings.Contains(m[1], " -") {
			lines = append(lines, m[1])
		}
	}
	for _, line := range lines {
		call, _, _ := strings.Cut(line, " #")
		call = strings.TrimSpace(strings.Replace(call, "go run ./cmd/stator", "stator", 1))
		if strings.HasPrefix(call, "stator ") && !strings.Contains(call, "..") && !strings.Contains(call, "…") {
			found = append(found, strings.Join(strings.Fields(call), " "))
		}
	}
	return found
}

// understood returns what the program would complain about.
func understood(call string) error {
	args := translated(helped(words(call)[1:]))
	parser, err := kong.New(&commands{}, kong.Exit(func(int) {}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}
