package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/statordb/stator"
	"github.com/statordb/stator/cmd/stator/load"
)

type importCommand struct {
	Files    []string `arg:"" type:"existingfile" help:"Files to load: DynamoDB JSON lines, plain JSON (lines, an array, or an object that wraps one) or CSV with a header; .gz is fine."`
	Table    string   `required:"" short:"t" help:"Table to write to."`
	Key      []string `short:"k" placeholder:"NAME[:S|N|B]" help:"Create the table, if it is missing, with this partition key; give --key again for the sort key."`
	Endpoint string   `default:"http://127.0.0.1:8000" help:"Running server to write to."`
	Dir      string   `type:"path" help:"Write into this closed database directory instead of a server."`
	Format   string   `enum:"auto,dynamodb,json,csv" default:"auto" help:"${enum}."`
	Column   []string `short:"c" placeholder:"COLUMN=[ATTRIBUTE][:TYPE]" help:"CSV: attribute name and type (S, N, B, BOOL, JSON) of a column; without a name the column is left out."`
	Comma    string   `default:"," help:"CSV: the separator, one character or 'tab'."`
	Workers  int      `default:"8" help:"Concurrent batches."`
	SkipBad  bool     `help:"Report bad records and go on instead of stopping."`
	Restart  bool     `help:"Begin anew even if an earlier import of this file was interrupted."`
}

func (c *importCommand) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	o.Client, o.Endpoint, o.Location = http.DefaultClient, c.Endpoint, c.Endpoint
	if c.Dir != "" {
		db, err := stator.Open(c.Dir, stator.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
		o.Client, o.Endpoint, o.Location = db.HTTPClient(), "http://stator", c.Dir
	}
	for _, name := range c.Files {
		if err := importFile(ctx, name, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *importCommand) options() (load.Options, error) {
	o := load.Options{Table: c.Table, Format: c.Format, Workers: c.Workers, SkipBad: c.SkipBad, Restart: c.Restart}
	if len(c.Key) > 2 {
		return o, errors.New("--key: a table has one partition key and at most one sort key")
	}
	for _, k := range c.Key {
		name, typ, _ := strings.Cut(k, ":")
		if typ == "" {
			typ = "S"
		}
		if name == "" || !strings.Contains(" S N B ", " "+typ+" ") {
			return o, fmt.Errorf("--key %q: want NAME, NAME:S, NAME:N or NAME:B", k)
		}
		o.Create = append(o.Create, load.Key{Name: name, Type: typ})
	}
	for _, m := range c.Column {
		column, to, ok := strings.Cut(m, "=")
		if !ok {
			return o, fmt.Errorf("--column %q: want COLUMN=ATTRIBUTE, COLUMN=ATTRIBUTE:TYPE or COLUMN=", m)
		}
		attribute, typ, hasType := strings.Cut(to, ":")
		if hasType && attribute == "" {
			attribute = column
		}
		o.Columns = append(o.Columns, load.Column{Name: column, Attribute: attribute, Type: typ})
	}
	switch r := []rune(c.Comma); {
	case c.Comma == "tab":
		o.Comma = '\t'
	case len(r) == 1:
		o.Comma = r[0]
	default:
		return o, fmt.Errorf("--comma %q: want one character or tab", c.Comma)
	}
	return o, nil
}

// importFile loads one file; a terminal shows a progress bar.
func importFile(ctx context.Context, name string, o load.Options) error {
	began := time.Now()
	var bar *progressbar.ProgressBar
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(filepath.Base(name)), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		o.Progress = func(done, total, _ int64) {
			bar.ChangeMax64(max(total, 1))
			bar.Set64(min(done, total))
		}
	}
	o.OnSkipped = func(err error) { fmt.Fprintln(os.Stderr, "skipped", err) }
	res, err := load.File(ctx, name, o)
	if bar != nil {
		bar.Finish()
	}
	elapsed := time.Since(began)
	fmt.Printf("%s: %d records stored in %s in %.1f s (%.0f/s)", filepath.Base(name), res.Stored, o.Table, elapsed.Seconds(), float64(res.Stored)/max(elapsed.Seconds(), 1e-9))
	if res.Resumed > 0 {
		fmt.Printf(", %d by an earlier import", res.Resumed)
	}
	if res.Skipped > 0 {
		fmt.Printf(", %d skipped", res.Skipped)
	}
	fmt.Println()
	if err != nil && res.Stored+res.Resumed > 0 {
		fmt.Fprintln(os.Stderr, "run the same command again to go on from there")
	}
	return err
}
