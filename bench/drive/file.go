package drive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
)

// A Workload is what a workload file says. The file is a JSON object; a line that
// begins with // is a comment. Fields that are left out have the defaults below.
//
//	{
//	  "name": "ycsb-b",
//	  "keys": {"count": 100000, "choose": "zipfian"},
//	  "values": {"size": 1000},
//	  "operations": {"get": 95, "put": 5},
//	  "workers": 2,
//	  "pace": {"rate": 5000, "arrivals": "poisson"},
//	  "warmup": "1s",
//	  "length": "10s"
//	}
type Workload struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"` // one line for lists

	Keys   Keys   `json:"keys"`
	Values Values `json:"values"`

	// Operations are shares of the whole, in any unit.
	Operations map[Kind]float64 `json:"operations"`

	ScanLength int `json:"scan_length,omitempty"` // entries of a scan or query; default 10
	Batch      int `json:"batch,omitempty"`       // entries of a batch or transaction; default 10

	// Selects is the share of entries that a filtered scan finds, in percent. Default 1.
	Selects int `json:"selects,omitempty"`

	Indexes int `json:"indexes,omitempty"` // secondary indexes of the table; engines have none

	Empty bool `json:"empty,omitempty"` // begin without entries

	Workers int  `json:"workers,omitempty"` // default 1; connections, for an endpoint
	Pace    Pace `json:"pace"`

	Warmup Span `json:"warmup,omitempty"` // at least; default a fifth of the length
	Length Span `json:"length,omitempty"` // default 5s

	// Operations that end the measurement before its length; default none. A fill
	// ends when all keys are written.
	Count int `json:"count,omitempty"`

	Durable bool `json:"durable,omitempty"` // every write survives a power cut

	// Of tables: how many partitions one begins with, on Stator (others ignore it); default 1. How often a request is
	// tried, at one node after the other, as SDKs do; default 1. How long an answer may take; default 30s.
	Partitions int  `json:"partitions,omitempty"`
	Attempts   int  `json:"attempts,omitempty"`
	Timeout    Span `json:"timeout,omitempty"`

	// Faults are what happens to the nodes of a cluster meanwhile, in the order of time. They need a rate.
	Faults []Fault `json:"faults,omitempty"`

	World *World `json:"world,omitempty"` // of simulate
}

// A World says what a simulated run is like. An operation of the kind simulate runs one from its beginning to its end, from a
// seed that is its key and one.
type World struct {
	Nodes    int      `json:"nodes,omitempty"`    // default: the seed decides among one, three and five
	Zones    int      `json:"zones,omitempty"`    // default three, if there are so many nodes
	Duration Span     `json:"duration,omitempty"` // simulated time with clients and faults; default 3 s on one node, 20 s on several
	Calm     bool     `json:"calm,omitempty"`     // no faults
	Faults   []string `json:"faults,omitempty"`   // kinds ("stator sim list"); default all
}

// Keys say which keys there are and which of them are asked for.
type Keys struct {
	Count  int         `json:"count,omitempty"` // default 100,000
	Shape  bench.Shape `json:"shape,omitempty"` // default counter
	Choose Choice      `json:"choose,omitempty"`

	Theta float64 `json:"theta,omitempty"` // of zipfian and latest; default 0.99

	// Of hotspot: the share of the keys that are hot, and the share of operations
	// that goes to them. Default 0.2 and 0.8.
	HotKeys       float64 `json:"hot_keys,omitempty"`
	HotOperations float64 `json:"hot_operations,omitempty"`

	Trace string `json:"trace,omitempty"` // the file, for choose: trace

	// Groups is how many keys share a partition key: they are one item collection,
	// which queries read. Default 1.
	Group int `json:"group,omitempty"`

	// Together has the keys of a batch or transaction be of one group, so that one partition has all.
	Together bool `json:"together,omitempty"`
}

// A Choice is how keys are chosen.
type Choice string

// The choices.
const (
	Uniform    Choice = "uniform"
	Zipfian    Choice = "zipfian"    // few keys, all over the key space, get most operations
	Hotspot    Choice = "hotspot"    // a share of the keys gets a share of the operations
	Latest     Choice = "latest"     // zipfian from the newest key back
	Sequential Choice = "sequential" // in order, and from the beginning again
	Scattered  Choice = "scattered"  // each once, in an order that looks random, and again
	FromTrace  Choice = "trace"      // keys and operations as recorded
)

var choices = []Choice{Uniform, Zipfian, Hotspot, Latest, Sequential, Scattered, FromTrace}

// Values say how large values are, in bytes.
type Values struct {
	Size int `json:"size,omitempty"` // all the same; default 100

	// Or between the two, evenly, or with the logarithm distributed evenly, which
	// makes most small.
	Min  int  `json:"min,omitempty"`
	Max  int  `json:"max,omitempty"`
	Skew bool `json:"skew,omitempty"`

	Weights []Weight `json:"weights,omitempty"` // or some sizes, each with its share
}

// A Weight is one size and its share.
type Weight struct {
	Size  int     `json:"size"`
	Share float64 `json:"share"`
}

// A Kind is what an operation does.
type Kind string

// The kinds. A target answers with an error that is ErrUnsupported to what it has not.
const (
	Get      Kind = "get"
	Miss     Kind = "miss"   // get a key that is not there
	Put      Kind = "put"    // write a key that may be there
	Insert   Kind = "insert" // write a key behind all others
	Add      Kind = "add"    // read, change, write; UpdateItem ADD in a table
	Delete   Kind = "delete"
	Scan     Kind = "scan"    // ScanLength entries from a key on
	Query    Kind = "query"   // up to ScanLength items of one partition key
	Filter   Kind = "filter"  // scan a page for the few entries of Selects
	Index    Kind = "index"   // query a secondary index
	GetMany  Kind = "getmany" // Batch gets in one request
	PutMany  Kind = "putmany"
	Transact Kind = "transact" // Batch writes, all or nothing
	Simulate Kind = "simulate" // a simulated run from its beginning to its end; by itself
)

// Kinds are all kinds.
var Kinds = []Kind{Get, Miss, Put, Insert, Add, Delete, Scan, Query, Filter, Index, GetMany, PutMany, Transact, Simulate}

// A Pace says when operations begin.
type Pace struct {
	// Rate is operations per second over all workers. Without it each worker begins
	// the next operation when the one before has ended: a closed loop.
	Rate float64 `json:"rate,omitempty"`

	Arrivals Arrivals `json:"arrivals,omitempty"` // with a rate; default poisson

	// Peak searches the highest rate at which the percentile stays below a bound.
	Peak *Peak `json:"peak,omitempty"`

	Speed float64 `json:"speed,omitempty"` // of a trace: 2 is twice as fast as recorded; 0 as fast as can be
}

// Arrivals are how operations are spread over time.
type Arrivals string

// The arrivals.
const (
	Constant Arrivals = "constant"
	Poisson  Arrivals = "poisson" // independent of each other, as those of many users
)

// A Peak is the bound of a search.
type Peak struct {
	Percentile float64 `json:"percentile"`
	Below      Span    `json:"below"`
	Step       Span    `json:"step,omitempty"` // length of each trial; default a tenth of the length

	// Share has the measurement itself made at this share of the rate that was found. Default 1.
	Share float64 `json:"share,omitempty"`
}

// A Span is a duration, written as in "1.5s".
type Span time.Duration

// MarshalText writes it.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads it.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// A FileError is a mistake in a workload file.
type FileError struct {
	File   string
	Line   int // 0 if it belongs to no line
	Reason string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Parse reads a workload file, fills the defaults in and checks it. Errors are of
// type *FileError.
func Parse(file string, text []byte) (*Workload, error) {
	d := json.NewDecoder(bytes.NewReader(blankComments(text)))
	d.DisallowUnknownFields()
	w := &Workload{}
	if err := d.Decode(w); err != nil {
		return nil, fileError(file, text, d.InputOffset(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &FileError{file, line(text, d.InputOffset()), "something follows the workload"}
	}
	w.setDefaults()
	if err := w.check(); err != nil {
		return nil, &FileError{File: file, Reason: err.Error()}
	}
	return w, nil
}

// blankComments keeps offsets as they are.
func blankComments(text []byte) []byte {
	clean := bytes.Clone(text)
	for at := 0; at < len(clean); {
		end := bytes.IndexByte(clean[at:], '\n')
		if end < 0 {
			end = len(clean) - at
		}
		if l := clean[at : at+end]; bytes.HasPrefix(bytes.TrimLeft(l, " \t"), []byte("//")) {
			for i := range l {
				l[i] = ' '
			}
		}
		at += end + 1
	}
	return clean
}

func fileError(file string, text []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typ):
		return &FileError{file, line(text, typ.Offset), fmt.Sprintf("%s cannot be %s", typ.Field, typ.Value)}
	}
	return &FileError{file, line(text, offset), strings.TrimPrefix(err.Error(), "json: ")}
}

func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(max(0, int(offset)), len(text))], []byte("\n"))
}

func (w *Workload) setDefaults() {
	def(&w.Keys.Count, 100_000)
	def(&w.Keys.Shape, bench.Counter)
	def(&w.Keys.Choose, Uniform)
	def(&w.Keys.Theta, 0.99)
	def(&w.Keys.HotKeys, 0.2)
	def(&w.Keys.HotOperations, 0.8)
	def(&w.Keys.Group, 1)
	if w.Values.Max == 0 && len(w.Values.Weights) == 0 {
		def(&w.Values.Size, 100)
	}
	def(&w.ScanLength, 10)
	def(&w.Batch, 10)
	def(&w.Selects, 1)
	def(&w.Workers, 1)
	def(&w.Length, Span(5*time.Second))
	def(&w.Warmup, w.Length/5)
	if w.Pace.Rate > 0 || w.Pace.Peak != nil {
		def(&w.Pace.Arrivals, Poisson)
	}
	def(&w.Partitions, 1)
	def(&w.Attempts, 1)
	def(&w.Timeout, Span(30*time.Second))
	w.setFaults()
	if p := w.Pace.Peak; p != nil {
		def(&p.Step, w.Length/10)
		def(&p.Share, 1)
	}
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// MaxKeys bounds what a plan needs memory for.
const MaxKeys = 1 << 31

func (w *Workload) check() error {
	k := w.Keys
	switch {
	case w.Name == "":
		return errors.New("name is missing")
	case k.Count < 2 || k.Count > MaxKeys:
		return fmt.Errorf("keys.count must be from 2 to %d", MaxKeys)
	case !slices.Contains(bench.Shapes, k.Shape):
		return fmt.Errorf("keys.shape must be one of %v", bench.Shapes)
	case !slices.Contains(choices, k.Choose):
		return fmt.Errorf("keys.choose must be one of %v", choices)
	case !(k.Theta > 0 && k.Theta < 1):
		return errors.New("keys.theta must be between 0 and 1")
	case !(k.HotKeys > 0 && k.HotKeys < 1) || !(k.HotOperations > 0 && k.HotOperations <= 1):
		return errors.New("keys.hot_keys and keys.hot_operations must be between 0 and 1")
	case (k.Choose == FromTrace) != (k.Trace != ""):
		return errors.New(`keys.trace and "choose": "trace" belong together`)
	case k.Group < 1 || k.Group > k.Count:
		return errors.New("keys.group must be from 1 to keys.count")
	case k.Together && (k.Group < w.Batch || k.Count%k.Group != 0):
		return errors.New("keys.together needs groups at least as large as a batch, and keys.count in whole groups")
	case w.Workers < 1 || w.Workers > 10_000:
		return errors.New("workers must be from 1 to 10000")
	case w.ScanLength < 1 || w.ScanLength > 1_000_000 || w.Batch < 1 || w.Batch > 1000:
		return errors.New("scan_length must be from 1 to 1000000, batch from 1 to 1000")
	case w.Selects != 1 && w.Selects != 10:
		return errors.New("selects must be 1 or 10")
	case w.Indexes < 0 || w.Indexes > 20:
		return errors.New("indexes must be from 0 to 20")
	case w.Length <= 0 || w.Warmup < 0 || time.Duration(w.Length) > 24*time.Hour:
		return errors.New("length must be above 0 and at most 24h, warmup not below 0")
	case w.Count < 0:
		return errors.New("count must not be below 0")
	case w.Partitions < 1 || w.Partitions > 1000 || w.Attempts < 1 || w.Attempts > 100 || w.Timeout <= 0:
		return errors.New("partitions must be from 1 to 1000, attempts from 1 to 100, timeout above 0")
	}
	return errors.Join(w.checkOperations(), w.Values.check(), w.Pace.check(), w.checkFaults())
}

func (w *Workload) checkOperations() error {
	if w.Keys.Choose == FromTrace {
		if len(w.Operations) > 0 {
			return errors.New("operations come from the trace")
		}
		return nil
	}
	sum := 0.0
	for kind, share := range w.Operations {
		if !slices.Contains(Kinds, kind) {
			return fmt.Errorf("operations: unknown %q; there are %v", kind, Kinds)
		}
		if !(share >= 0) || math.IsInf(share, 0) {
			return fmt.Errorf("operations: share of %q", kind)
		}
		sum += share
	}
	if sum <= 0 {
		return errors.New("operations are missing")
	}
	if one := w.Operations[Simulate]; one > 0 && (one < sum || w.Workers > 1) {
		return errors.New("operations: simulate stands alone, and has one worker: a process simulates one world at a time")
	}
	return nil
}

// MaxValueBytes is what an item may have.
const MaxValueBytes = 390 << 10

func (v *Values) check() error {
	in := func(n int) bool { return n >= bench.MinValueBytes && n <= MaxValueBytes }
	switch {
	case len(v.Weights) > 0:
		sum := 0.0
		for _, w := range v.Weights {
			if !in(w.Size) || !(w.Share >= 0) || math.IsInf(w.Share, 0) {
				return fmt.Errorf("values.weights: %d bytes, share %v: sizes go from %d to %d", w.Size, w.Share, bench.MinValueBytes, MaxValueBytes)
			}
			sum += w.Share
		}
		if sum <= 0 || v.Size != 0 || v.Max != 0 {
			return errors.New("values: give size, or min and max, or weights")
		}
	case v.Max != 0:
		if !in(v.Min) || !in(v.Max) || v.Min > v.Max || v.Size != 0 {
			return fmt.Errorf("values: min and max go from %d to %d, without size", bench.MinValueBytes, MaxValueBytes)
		}
	case !in(v.Size):
		return fmt.Errorf("values.size goes from %d to %d", bench.MinValueBytes, MaxValueBytes)
	}
	return nil
}

func (p *Pace) check() error {
	switch {
	case !(p.Rate >= 0 && p.Rate <= 1e8):
		return errors.New("pace.rate must be from 0 to 1e8")
	case !(p.Speed >= 0 && p.Speed <= 1e6):
		return errors.New("pace.speed must be from 0 to 1e6")
	case p.Arrivals != "" && p.Arrivals != Constant && p.Arrivals != Poisson:
		return fmt.Errorf("pace.arrivals must be %s or %s", Constant, Poisson)
	case p.Peak != nil && (!(p.Peak.Percentile > 0 && p.Peak.Percentile < 100) || p.Peak.Below <= 0 || p.Peak.Step <= 0 || p.Rate > 0):
		return errors.New("pace.peak needs a percentile between 0 and 100 and a bound below, and no rate")
	case p.Peak != nil && !(p.Peak.Share > 0 && p.Peak.Share <= 1):
		return errors.New("pace.peak.share must be above 0 and at most 1")
	}
	return nil
}

// Alike reports whether two workloads ask for the same: what was not said in a file, or not known to an older program, is the
// default. What they are called does not count.
func Alike(a, b *Workload) bool {
	normal := func(w *Workload) string {
		c := *w
		c.Faults = slices.Clone(c.Faults)
		if c.About, c.Keys.Trace = "", ""; c.Pace.Peak != nil {
			peak := *c.Pace.Peak
			c.Pace.Peak = &peak
		}
		c.setDefaults()
		text, err := json.Marshal(&c)
		if err != nil { // of a share that is no number: files have none
			return err.Error()
		}
		return string(text)
	}
	return normal(a) == normal(b)
}

// Writes reports whether the workload changes data.
func (w *Workload) Writes() bool {
	for _, k := range []Kind{Put, Insert, Add, Delete, PutMany, Transact} {
		if w.Operations[k] > 0 {
			return true
		}
	}
	return w.Keys.Choose == FromTrace
}

// Scaled returns the workload with keys, count and times divided, for a quick look
// or a test.
func (w *Workload) Scaled(by int) *Workload {
	c := *w
	c.Keys.Count = max(2, c.Keys.Count/by)
	c.Keys.Group = min(c.Keys.Group, c.Keys.Count)
	if c.Keys.Together { // whole groups
		c.Keys.Group = max(c.Keys.Group, c.Batch)
		c.Keys.Count = max(2, c.Keys.Count/c.Keys.Group) * c.Keys.Group
	}
	if c.Count > 0 {
		c.Count = max(1, c.Count/by)
	}
	c.Length, c.Warmup = max(1, c.Length/Span(by)), c.Warmup/Span(by)
	c.Faults = slices.Clone(c.Faults)
	for i := range c.Faults {
		c.Faults[i].At /= Span(by)
	}
	if c.Pace.Peak != nil {
		p := *c.Pace.Peak
		p.Step = max(1, p.Step/Span(by))
		c.Pace.Peak = &p
	}
	return &c
}
