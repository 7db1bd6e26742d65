package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Formats of the input.
const (
	FormatAuto  = "auto"
	FormatTyped = "dynamodb" // DynamoDB JSON
	FormatPlain = "json"
	FormatCSV   = "csv"
)

// A Column maps a CSV column to an attribute. An empty Attribute leaves the
// column out.
type Column struct{ Name, Attribute, Type string }

// Options say what to load and where to.
type Options struct {
	Table     string
	Create    []Key    // make the table with these keys if it does not exist
	Format    string   // default FormatAuto
	Columns   []Column // CSV only
	Comma     rune     // CSV only; default ',', or a tab if the file's name ends in .tsv
	Workers   int      // concurrent batches; default 4
	SkipBad   bool     // report bad records and go on instead of stopping
	Restart   bool     // ignore a saved state
	Client    *http.Client
	Endpoint  string // URL of the service
	AccessKey string // says whose table it is; default "any"
	Region    string // of the table; default us-east-1
	Location  string // names the database in the state file; default Endpoint
	Progress  func(doneBytes, totalBytes, records int64)
	OnSkipped func(error)

	keys []Key
}

// typeOf returns the type that key attribute name must have, or otherwise.
func (o *Options) typeOf(name, otherwise string) string {
	for _, k := range o.keys {
		if k.Name == name {
			return k.Type
		}
	}
	return otherwise
}

// A Result counts records.
type Result struct {
	Stored  int64 // by this run
	Resumed int64 // stored by earlier runs
	Skipped int64

	Resumable bool // the run ended early, and the next one goes on from there
}

// File loads one file. On an error or when ctx ends, what was stored stays,
// and the next call with the same file, table and options goes on from there.
func File(ctx context.Context, name string, o Options) (Result, error) {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Format == "" {
		o.Format = FormatAuto
	}
	if o.Location == "" {
		o.Location = o.Endpoint
	}
	l := &loader{o: o, api: client{http: o.Client, endpoint: o.Endpoint, key: o.AccessKey, region: o.Region}, path: statePath(name, o.Table)}
	missing, err := l.table(ctx)
	if err != nil {
		return Result{}, err
	}
	in, err := openInput(name)
	if err != nil {
		return Result{}, err
	}
	defer in.file.Close()
	src, err := newSource(name, in, l.o)
	if err != nil {
		return Result{}, err
	}
	if missing {
		if src, err = l.create(ctx, src); err != nil {
			return Result{}, err
		}
	}
	l.state = State{Table: o.Table, TableID: l.tableID, Endpoint: o.Location, Size: in.size, Reading: fmt.Sprintf("%s %q %q", o.Format, o.Columns, o.Comma)}
	if o.Restart {
		err = l.forget()
	} else {
		l.state, err = loadState(l.path, l.state)
	}
	if err != nil {
		return Result{}, err
	}
	return l.run(ctx, in, src)
}

type loader struct {
	o    Options
	api  client
	path string

	tableID string

	state    State // as this run found it; saved with the current counts
	finished *prefix
	stored   atomic.Int64
	skipped  atomic.Int64 // by all runs

	failed     sync.Once
	err        error
	stopRead   context.CancelFunc
	cancelWork context.CancelFunc
}

// table finds the key attributes. Those of a missing table are o.Create.
func (l *loader) table(ctx context.Context) (missing bool, err error) {
	keys, id, err := l.api.describe(ctx, l.o.Table)
	var api *APIError
	switch {
	case errors.As(err, &api) && api.Type == "ResourceNotFoundException":
		if len(l.o.Create) == 0 {
			return false, fmt.Errorf("table %s does not exist; name its key with --key to create it", l.o.Table)
		}
		keys, missing, err = l.o.Create, true, nil
	case err == nil && len(l.o.Create) > 0 && !slices.Equal(keys, l.o.Create):
		return false, fmt.Errorf("table %s exists with the key %v, not %v", l.o.Table, keys, l.o.Create)
	}
	l.o.keys, l.tableID = keys, id
	return missing, err
}

// create makes the table, but only if the first record fits it: a misspelt key
// must not leave a table behind.
func (l *loader) create(ctx context.Context, src Source) (Source, error) {
	rec, err := src.Next()
	bad := err
	if err == nil {
		if _, e := l.keyOf(rec.Item); e != nil {
			bad = &RecordError{rec.Number, e}
		}
	}
	var record *RecordError
	if bad != nil && bad != io.EOF && !(l.o.SkipBad && errors.As(bad, &record)) {
		return nil, bad
	}
	again := &again{src, rec, err, false}
	l.tableID, err = l.api.create(ctx, l.o.Table, l.o.Create)
	return again, err
}

// again yields a record or error that was already taken from a source, then
// goes on with the source.
type again struct {
	Source
	rec  Record
	err  error
	told bool
}

func (a *again) Next() (Record, error) {
	if !a.told {
		a.told = true
		return a.rec, a.err
	}
	return a.Source.Next()
}

// stop notes the first error and ends reading; what was read is still stored.
func (l *loader) stop(err error) {
	l.failed.Do(func() { l.err = err })
	l.stopRead()
}

// fail notes the first error and ends storing, too.
func (l *loader) fail(err error) {
	l.stop(err)
	l.cancelWork()
}

// run reads records in order and hands each to the worker of its key, so that
// of two records with one key the later wins.
func (l *loader) run(ctx context.Context, in *input, src Source) (Result, error) {
	workCtx, cancelWork := context.WithCancel(ctx)
	defer cancelWork()
	readCtx, stopRead := context.WithCancel(workCtx)
	defer stopRead()
	l.cancelWork, l.stopRead = cancelWork, stopRead
	resumed, skippedBefore := l.state.Done, l.state.Skipped
	l.finished = newPrefix(resumed)
	l.skipped.Store(skippedBefore)
	lanes := make([]chan Record, l.o.Workers)
	var wg sync.WaitGroup
	for i := range lanes {
		lanes[i] = make(chan Record, 100)
		wg.Go(func() { l.work(workCtx, lanes[i]) })
	}
	l.read(readCtx, in, src, lanes)
	for _, lane := range lanes {
		close(lane)
	}
	wg.Wait()
	if ctx.Err() != nil {
		l.err = context.Cause(ctx)
	}
	res := Result{Stored: l.stored.Load(), Resumed: resumed - skippedBefore, Skipped: l.skipped.Load()}
	if l.err == nil {
		return res, l.forget()
	}
	done, err := l.save()
	if err != nil {
		err = fmt.Errorf("what is stored could not be noted, so the next import begins anew: %w", err)
	}
	res.Resumable = err == nil && done > 0
	return res, errors.Join(l.err, err)
}

func (l *loader) forget() error {
	if err := os.Remove(l.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// save notes how many leading records are done; none need no note.
func (l *loader) save() (done int64, err error) {
	s := l.state
	s.Skipped = l.skipped.Load() // before Done: never more done than counted
	if s.Done = l.finished.finish(); s.Done > 0 {
		err = s.save(l.path)
	}
	return s.Done, err
}

// saveEvery bounds how much work is repeated after a kill.
const saveEvery = time.Second

func (l *loader) read(ctx context.Context, in *input, src Source, lanes []chan Record) {
	saved := time.Now()
	for ctx.Err() == nil {
		rec, err := src.Next()
		if err == io.EOF {
			return
		}
		var bad *RecordError
		if err == nil && rec.Number > l.state.Done {
			err = l.hand(ctx, rec, lanes)
		}
		if err != nil && !(errors.As(err, &bad) && l.skip(bad)) {
			l.stop(err)
			return
		}
		if l.o.Progress != nil {
			l.o.Progress(in.count.n, in.size, rec.Number)
		}
		if time.Since(saved) > saveEvery {
			saved = time.Now()
			l.save() // where nothing can be noted, beside a read-only file, the load goes on; its end reports it
		}
	}
}

func (l *loader) hand(ctx context.Context, rec Record, lanes []chan Record) error {
	key, err := l.keyOf(rec.Item)
	if err != nil {
		return &RecordError{rec.Number, err}
	}
	h := fnv.New32a()
	io.WriteString(h, key)
	select {
	case lanes[h.Sum32()%uint32(len(lanes))] <- rec:
	case <-ctx.Done():
	}
	return nil
}

// skip leaves a bad record out and reports true; it reports false if bad
// records are not to be skipped.
func (l *loader) skip(bad *RecordError) bool {
	if bad.Number <= l.state.Done {
		return true
	}
	if !l.o.SkipBad {
		return false
	}
	l.skipped.Add(1)
	l.finished.finish(bad.Number)
	if l.o.OnSkipped != nil {
		l.o.OnSkipped(bad) // may be called by several workers at once
	}
	return true
}

// keyOf returns text that is equal for records with equal key spelling.
func (l *loader) keyOf(item map[string]json.RawMessage) (string, error) {
	var b strings.Builder
	for _, k := range l.o.keys {
		v, ok := item[k.Name]
		if !ok {
			return "", fmt.Errorf("key attribute %q is missing", k.Name)
		}
		b.Write(v)
		b.WriteByte(0)
	}
	return b.String(), nil
}

// batchSize is BatchWriteItem's limit.
const batchSize = 25

// work stores the records of one lane in batches.
func (l *loader) work(ctx context.Context, lane chan Record) {
	batch := make([]Record, 0, batchSize)
	for rec := range lane {
		batch = append(batch, rec)
		if len(batch) < batchSize && len(lane) > 0 {
			continue
		}
		if ctx.Err() == nil {
			if err := l.store(ctx, batch); err != nil {
				l.fail(err)
			}
		}
		batch = batch[:0]
	}
	if len(batch) > 0 && ctx.Err() == nil {
		if err := l.store(ctx, batch); err != nil {
			l.fail(err)
		}
	}
}

// store writes a batch: one item per key, the last one. If the service refuses
// the batch as a whole, it writes record by record to find the bad one.
func (l *loader) store(ctx context.Context, batch []Record) error {
	last := map[string]int{}
	for i, rec := range batch {
		key, err := l.keyOf(rec.Item)
		if err != nil {
			return err
		}
		last[key] = i
	}
	items := make([]map[string]json.RawMessage, 0, len(batch))
	numbers := make([]int64, len(batch))
	for i, rec := range batch {
		numbers[i] = rec.Number
		if key, _ := l.keyOf(rec.Item); last[key] == i {
			items = append(items, rec.Item)
		}
	}
	err := l.api.write(ctx, l.o.Table, items)
	var api *APIError
	if errors.As(err, &api) && api.Type == "ValidationException" {
		return l.storeEach(ctx, batch)
	}
	if err != nil {
		return err
	}
	l.stored.Add(int64(len(batch)))
	l.finished.finish(numbers...)
	return nil
}

func (l *loader) storeEach(ctx context.Context, batch []Record) error {
	for _, rec := range batch {
		err := l.api.put(ctx, l.o.Table, rec.Item)
		var api *APIError
		switch {
		case errors.As(err, &api) && api.Type == "ValidationException":
			if bad := (&RecordError{rec.Number, api}); !l.skip(bad) {
				l.stop(bad)
			}
		case err != nil:
			return err
		default:
			l.stored.Add(1)
			l.finished.finish(rec.Number)
		}
	}
	return nil
}
