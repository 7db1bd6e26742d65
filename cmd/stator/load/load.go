package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
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
	Comma     rune     // CSV only; default ','
	Workers   int      // concurrent batches; default 4
	SkipBad   bool     // report bad records and go on instead of stopping
	Restart   bool     // ignore a saved state
	Client    *http.Client
	Endpoint  string // URL of the service
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
}

// File loads one file. On an error or when ctx ends, what was stored stays,
// and the next call with the same file and table goes on from there.
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
	l := &loader{o: o, api: client{o.Client, o.Endpoint}, path: statePath(name, o.Table)}
	if err := l.table(ctx); err != nil {
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
	l.state = State{Table: o.Table, Endpoint: o.Location, Size: in.size}
	if !o.Restart {
		if l.state, err = loadState(l.path, l.state); err != nil {
			return Result{}, err
		}
	}
	return l.run(ctx, in, src)
}

type loader struct {
	o    Options
	api  client
	path string

	state    State // as this run found it; saved with the current counts
	finished *prefix
	stored   atomic.Int64
	skipped  atomic.Int64 // by all runs

	failed sync.Once
	err    error
	cancel context.CancelFunc
}

// table finds the key attributes, making the table if asked to.
func (l *loader) table(ctx context.Context) error {
	keys, err := l.api.describe(ctx, l.o.Table)
	var api *APIError
	if errors.As(err, &api) && api.Type == "ResourceNotFoundException" {
		if len(l.o.Create) == 0 {
			return fmt.Errorf("table %s does not exist; name its key with --key to create it", l.o.Table)
		}
		keys, err = l.o.Create, l.api.create(ctx, l.o.Table, l.o.Create)
	}
	l.o.keys = keys
	return err
}

func (l *loader) fail(err error) {
	l.failed.Do(func() {
		l.err = err
		l.cancel()
	})
}

// run reads records in order and hands each to the worker of its key, so that
// of two records with one key the later wins.
func (l *loader) run(ctx context.Context, in *input, src Source) (Result, error) {
	workCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.cancel = cancel
	resumed, skippedBefore := l.state.Done, l.state.Skipped
	l.finished = newPrefix(resumed)
	l.skipped.Store(skippedBefore)
	lanes := make([]chan Record, l.o.Workers)
	var wg sync.WaitGroup
	for i := range lanes {
		lanes[i] = make(chan Record, 100)
		wg.Go(func() { l.work(workCtx, lanes[i]) })
	}
	l.read(workCtx, in, src, lanes)
	for _, lane := range lanes {
		close(lane)
	}
	wg.Wait()
	if l.err == nil {
		l.err = ctx.Err()
	}
	res := Result{Stored: l.stored.Load(), Resumed: resumed - skippedBefore, Skipped: l.skipped.Load()}
	if l.err == nil {
		if err := os.Remove(l.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return res, err
		}
		return res, nil
	}
	return res, errors.Join(l.err, l.save())
}

func (l *loader) save() error {
	s := l.state
	s.Skipped = l.skipped.Load() // before Done: never more done than counted
	s.Done = l.finished.finish()
	return s.save(l.path)
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
		switch {
		case errors.As(err, &bad):
			l.skip(bad)
			continue
		case err != nil:
			l.fail(err)
			return
		}
		if rec.Number > l.state.Done {
			l.hand(ctx, rec, lanes)
		}
		if l.o.Progress != nil {
			l.o.Progress(in.count.n, in.size, rec.Number)
		}
		if time.Since(saved) > saveEvery {
			saved = time.Now()
			if err := l.save(); err != nil {
				l.fail(err)
			}
		}
	}
}

func (l *loader) hand(ctx context.Context, rec Record, lanes []chan Record) {
	key, err := l.keyOf(rec.Item)
	if err != nil {
		l.skip(&RecordError{rec.Number, err})
		return
	}
	h := fnv.New32a()
	io.WriteString(h, key)
	select {
	case lanes[h.Sum32()%uint32(len(lanes))] <- rec:
	case <-ctx.Done():
	}
}

// skip leaves a bad record out and reports true, or stops the load.
func (l *loader) skip(bad *RecordError) bool {
	if bad.Number <= l.state.Done {
		return true
	}
	if !l.o.SkipBad {
		l.fail(bad)
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
			if !l.skip(&RecordError{rec.Number, api}) {
				return nil
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
