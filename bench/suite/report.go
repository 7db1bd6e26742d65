package suite

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/statordb/stator/bench/result"
)

// writers are the outputs that are one stream.
var writers = map[string]func(io.Writer, *result.File) error{
	"text": result.Text, "markdown": result.Markdown, "html": result.HTML, "gobench": result.GoBench, "hlog": result.HLog,
	"tsv": result.TSV, "custom": result.SmallerIsBetter, "bmf": result.BMF,
}

// Formats are the names of all outputs.
func Formats() []string { return append(slices.Sorted(maps.Keys(writers)), "hgrm") }

// Outputs are files that a result is written to, as flags of a command.
type Outputs struct {
	JSON     string `name:"json" type:"path" placeholder:"FILE" help:"Write the result: all samples, environment, histograms. Everything else can be made from it later (stator bench report)."`
	HTML     string `name:"html" type:"path" placeholder:"FILE" help:"Write a page that needs no network."`
	Markdown string `name:"markdown" type:"path" placeholder:"FILE" help:"Write a summary for a pull request."`
	GoBench  string `name:"gobench" type:"path" placeholder:"FILE" help:"Write Go's benchmark format, for benchstat."`
	HLog     string `name:"hlog" type:"path" placeholder:"FILE" help:"Write an HdrHistogram log."`
	HGRM     string `name:"hgrm" type:"path" placeholder:"DIR" help:"Write percentiles of each figure into this directory, for plotters of HdrHistogram."`
	TSV      string `name:"tsv" type:"path" placeholder:"FILE" help:"Write the columns of db_bench's report."`
	Custom   string `name:"custom" type:"path" placeholder:"FILE" help:"Write customSmallerIsBetter JSON of github-action-benchmark."`
	BMF      string `name:"bmf" type:"path" placeholder:"FILE" help:"Write Bencher's metric format."`
}

// Write writes all that were asked for.
func (o *Outputs) Write(f *result.File) error {
	if o.JSON != "" {
		if err := f.Write(o.JSON); err != nil {
			return err
		}
	}
	for _, w := range []struct{ file, format string }{
		{o.HTML, "html"}, {o.Markdown, "markdown"}, {o.GoBench, "gobench"}, {o.HLog, "hlog"}, {o.TSV, "tsv"}, {o.Custom, "custom"}, {o.BMF, "bmf"},
	} {
		if w.file == "" {
			continue
		}
		if err := writeFile(w.file, func(to io.Writer) error { return writers[w.format](to, f) }); err != nil {
			return err
		}
	}
	if o.HGRM != "" {
		return writeHGRM(o.HGRM, f)
	}
	return nil
}

// Report writes one format to w. hgrm is of the first figure.
func Report(w io.Writer, f *result.File, format string) error {
	if write := writers[format]; write != nil {
		return write(w, f)
	}
	if format == "hgrm" {
		if len(f.Figures) == 0 {
			return errors.New("the result has no figures")
		}
		return result.HGRM(w, f.Figures[0])
	}
	return fmt.Errorf("no format %q; there are %s", format, strings.Join(Formats(), ", "))
}

func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		file.Close()
		return fmt.Errorf("%s: %w", name, err)
	}
	return file.Close()
}

func writeHGRM(dir string, f *result.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, g := range f.Figures {
		if len(g.Samples) == 0 {
			continue
		}
		name := strings.Map(func(r rune) rune {
			if strings.ContainsRune(`/\:*?"<>| `, r) {
				return '_'
			}
			return r
		}, g.Workload.Name+"-"+g.Target) + ".hgrm"
		if err := writeFile(filepath.Join(dir, name), func(w io.Writer) error { return result.HGRM(w, g) }); err != nil {
			return err
		}
	}
	return nil
}
