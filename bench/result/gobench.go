package result

import (
	"fmt"
	"io"
	"strings"
)

// GoBench writes lines in Go's benchmark format, one for each sample, as benchstat reads
// them.
func GoBench(w io.Writer, f *File) error {
	e := f.Environment
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\ncpu: %s\ncommit: %s\n", e.OS, e.Arch, e.Processor, f.Commit)
	for _, g := range f.Figures {
		for _, s := range g.Samples {
			text := ""
			for _, m := range Metrics {
				if v := m.Of(s); v > 0 {
					text += fmt.Sprintf("\t%s %s", plain(v), m.Unit)
				}
			}
			if text == "" {
				continue // a line without a figure is an error to readers
			}
			if _, err := fmt.Fprintf(w, "Benchmark%s\t%d%s\n", benchName(g), max(1, s.Ops), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchName has no blanks, begins with a capital letter and says the target as a key with a
// value, by which benchstat can make columns.
func benchName(g *Figure) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r <= ' ' || r == '/' || r == 0x7f {
				return '_'
			}
			return r
		}, s)
	}
	name := clean(g.Workload.Name)
	return strings.ToUpper(name[:1]) + name[1:] + "/target=" + clean(g.Target)
}

// plain writes a number without an exponent.
func plain(v float64) string {
	text := fmt.Sprintf("%.4f", v)
	if v >= 1000 {
		text = fmt.Sprintf("%.0f", v)
	}
	return text
}
