package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/statordb/stator"
	"github.com/statordb/stator/cmd/stator/load"
)

type importCommand struct {
	Files     []string `arg:"" type:"existingfile" predictor:"file" help:"Files to load: DynamoDB JSON lines, plain JSON (lines, an array, or an object that wraps one) or CSV with a header (.csv, .tsv or --format csv); all of them also as .gz."`
	Table     string   `required:"" short:"t" help:"Table to write to."`
	Key       []string `short:"k" placeholder:"NAME[:S|N|B]" help:"The table's partition key; give --key again for the sort key. A missing table is created, another one must have this key."`
	Endpoint  string   `default:"http://127.0.0.1:8000" help:"Running server to write to."`
	AccessKey string   `env:"AWS_ACCESS_KEY_ID" default:"any" help:"Access key whose table it is; not of interest to a server with --shared."`
	Region    string   `env:"AWS_REGION,AWS_DEFAULT_REGION" default:"us-east-1" help:"Region of the table."`
	Dir       string   `type:"path" predictor:"dir" help:"Write into this closed database directory instead of a server; made if missing."`
	Format    string   `enum:"auto,dynamodb,json,csv" default:"auto" help:"Format of the files: ${enum}. Auto goes by name and content."`
	Column    []string `short:"c" placeholder:"COLUMN=[ATTRIBUTE][:TYPE]" help:"CSV: attribute name and type (S, N, B, BOOL, JSON) of a column; without a name the column is left out."`
	Comma     string   `help:"CSV: the separator, one character or 'tab'. Default: a tab in .tsv files, a comma in others."`
	Workers   int      `default:"8" help:"Concurrent batches."`
	SkipBad   bool     `help:"Report bad records and go on instead of stopping."`
	Restart   bool     `help:"Begin anew even if an earlier import of this file stopped half-way."`
}

func (c *importCommand) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if c.Dir == "" {
		if !strings.Contains(c.Endpoint, "://") {
			c.Endpoint = "http://" + c.Endpoint
		}
		o.Client, o.Endpoint, o.Location = http.DefaultClient, c.Endpoint, c.Endpoint
		return c.importAll(ctx, o)
	}
	db, err := stator.Open(c.Dir, stator.Options{})
	if err != nil {
		return err
	}
	o.Client, o.Endpoint, o.Location = db.HTTPClient(), "http://stator", c.Dir
	return errors.Join(c.importAll(ctx, o), db.Close())
}

func (c *importCommand) importAll(ctx context.Context, o load.Options) error {
	for _, name := range c.Files {
		err := importFile(ctx, name, o)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("no server at %s; start one with 'stator serve', or give --dir: %w", o.Endpoint, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (c *importCommand) options() (load.Options, error) {
	o := load.Options{Table: c.Table, AccessKey: c.AccessKey, Region: c.Region, Format: c.Format, Workers: c.Workers, SkipBad: c.SkipBad, Restart: c.Restart}
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
	case len(r) == 0: // by the file's name
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
	if err == nil || res.Stored+res.Skipped > 0 {
		report(filepath.Base(name), o.Table, res, time.Since(began))
	}
	var bad *load.RecordError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &bad):
		fmt.Fprintln(os.Stderr, "correct the record, or leave bad records out with --skip-bad")
	case errors.As(err, &syntax): // going on would meet it again
	case res.Resumable:
		fmt.Fprintln(os.Stderr, "the same command goes on from there")
	}
	return err
}

func report(name, table string, res load.Result, elapsed time.Duration) {
	fmt.Printf("%s: %d records stored in %s in %.1f s (%.0f/s)", name, res.Stored, table, elapsed.Seconds(), float64(res.Stored)/max(elapsed.Seconds(), 1e-9))
	if res.Resumed > 0 {
		fmt.Printf(", %d by an earlier import", res.Resumed)
	}
	if res.Skipped > 0 {
		fmt.Printf(", %d skipped", res.Skipped)
	}
	fmt.Println()
}
