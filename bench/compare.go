package bench

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Config sizes a comparison. The zero value is a quick run.
type Config struct {
	Dir        string // scratch directory; default the system's
	Entries    int    // default 200,000
	ValueSize  int    // bytes; default 100
	Reads      int    // operations of each read workload; default Entries
	CacheBytes int64  // default 64 MiB
}

func (c Config) withDefaults() Config {
	if c.Entries == 0 {
		c.Entries = 200_000
	}
	if c.ValueSize == 0 {
		c.ValueSize = 100
	}
	if c.Reads == 0 {
		c.Reads = c.Entries
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 64 << 20
	}
	return c
}

// A workload is one kind of work, measured per operation.
type workload struct {
	name  string
	fresh bool // starts with an empty engine
	run   func(r *run) error
}

// The order matters: the reads use what fillrandom wrote.
var workloads = []workload{
	{"fillseq", true, func(r *run) error { return r.fill(func(i uint64) uint64 { return i }) }},
	{"fillrandom", true, func(r *run) error { return r.fill(spread) }},
	{"readrandom", false, (*run).readRandom},
	{"readmissing", false, (*run).readMissing},
	{"seek+10", false, func(r *run) error { return r.seek(10) }},
	{"scan (per entry)", false, (*run).scan},
}

// A Figure is the cost of one workload on one engine.
type Figure struct {
	Workload, Engine string
	PerOp            time.Duration // mean
	P50, P99         time.Duration // 0 where single operations are not timed
}

// Compare runs every workload on every engine and writes a table of figures
// with each engine's ratio to the first one (above 1: the first is faster).
// Every value read is checked.
func Compare(w io.Writer, openers []Opener, c Config) ([]Figure, error) {
	c = c.withDefaults()
	dir, err := os.MkdirTemp(c.Dir, "stator-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	runs := make([]*run, len(openers))
	defer func() {
		for _, r := range runs {
			r.close()
		}
	}()
	for i, o := range openers {
		runs[i] = &run{Config: c, opener: o, dir: dir, values: newValuer(c.ValueSize)}
	}
	var figures []Figure
	for _, wl := range workloads {
		for _, r := range runs {
			f, err := r.measure(wl)
			if err != nil {
				return figures, fmt.Errorf("%s on %s: %w", wl.name, r.opener.Name, err)
			}
			figures = append(figures, f)
		}
	}
	return figures, print(w, figures, openers[0].Name)
}

func print(w io.Writer, figures []Figure, base string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "workload\tengine\tns/op\tp50\tp99\tratio\t")
	var first time.Duration
	for _, f := range figures {
		if f.Engine == base {
			first = f.PerOp
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.2f\t\n", f.Workload, f.Engine, f.PerOp, f.P50, f.P99, float64(f.PerOp)/float64(max(first, 1)))
	}
	return t.Flush()
}

// run is one engine on its way through the workloads.
type run struct {
	Config
	opener Opener
	dir    string
	n      int
	engine Engine
	values *valuer

	hist  *hdrhistogram.Histogram
	ops   int
	start time.Time
	end   time.Time
}

func (r *run) close() {
	if r.engine != nil {
		r.engine.Close()
		r.engine = nil
	}
}

func (r *run) measure(wl workload) (Figure, error) {
	if wl.fresh {
		r.close()
		r.n++
		dir := filepath.Join(r.dir, fmt.Sprintf("%s-%d", r.opener.Name, r.n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Figure{}, err
		}
		var err error
		if r.engine, err = r.opener.Open(dir, r.CacheBytes); err != nil {
			return Figure{}, err
		}
	}
	runtime.GC()
	r.hist, r.ops = hdrhistogram.New(1, int64(time.Minute), 3), 0
	r.start = time.Now()
	if err := wl.run(r); err != nil {
		return Figure{}, err
	}
	return Figure{
		Workload: wl.name, Engine: r.opener.Name,
		PerOp: r.end.Sub(r.start) / time.Duration(max(r.ops, 1)),
		P50:   time.Duration(r.hist.ValueAtQuantile(50)), P99: time.Duration(r.hist.ValueAtQuantile(99)),
	}, nil
}

// timed runs op n times and records each duration.
func (r *run) timed(n int, op func(i int) error) error {
	r.ops = n
	last := time.Now()
	r.start = last
	for i := range n {
		if err := op(i); err != nil {
			return err
		}
		now := time.Now()
		r.hist.RecordValue(int64(now.Sub(last)))
		last = now
	}
	r.end = last
	return nil
}

// fill writes all entries, then settles outside of the clock.
func (r *run) fill(number func(uint64) uint64) error {
	key := make([]byte, 0, KeySize)
	err := r.timed(r.Entries, func(i int) error {
		key = appendKey(key[:0], number(uint64(i)))
		return r.engine.Set(key, r.values.value(uint64(i)))
	})
	if err != nil {
		return err
	}
	return r.engine.Settle()
}

func (r *run) readRandom() error {
	rnd := rand.New(rand.NewPCG(7, 7))
	key, buf := make([]byte, 0, KeySize), make([]byte, 0, r.ValueSize)
	get := func(int) error {
		i := rnd.Uint64N(uint64(r.Entries))
		key = appendKey(key[:0], spread(i))
		v, found, err := r.engine.Get(key, buf[:0])
		if err != nil || !found || !bytes.Equal(v, r.values.value(i)) {
			return fmt.Errorf("get %x: found %v, wrong value or error %v", key, found, err)
		}
		return nil
	}
	for range r.Reads / 4 { // warm up
		if err := get(0); err != nil {
			return err
		}
	}
	return r.timed(r.Reads, get)
}

func (r *run) readMissing() error {
	rnd := rand.New(rand.NewPCG(8, 8))
	key := make([]byte, 0, KeySize)
	return r.timed(r.Reads, func(int) error {
		key = appendKey(key[:0], spread(uint64(r.Entries)+rnd.Uint64N(1<<40)))
		if _, found, err := r.engine.Get(key, nil); found || err != nil {
			return fmt.Errorf("get of an absent key: found %v, error %v", found, err)
		}
		return nil
	})
}

func (r *run) seek(n int) error {
	rnd := rand.New(rand.NewPCG(9, 9))
	key := make([]byte, 0, KeySize)
	return r.timed(r.Reads/10, func(int) error {
		key = appendKey(key[:0], rnd.Uint64())
		_, err := r.engine.Scan(key, n, func(k, v []byte) {})
		return err
	})
}

func (r *run) scan() error {
	var got int
	r.start = time.Now()
	last := make([]byte, 0, KeySize)
	var order error
	n, err := r.engine.Scan(appendKey(nil, 0), r.Entries+1, func(k, v []byte) {
		if bytes.Compare(k, last) <= 0 && got > 0 {
			order = fmt.Errorf("scan: %x after %x", k, last)
		}
		last = append(last[:0], k...)
		got++
	})
	r.end, r.ops = time.Now(), n
	switch {
	case err != nil:
		return err
	case order != nil:
		return order
	case n != r.Entries || got != n:
		return fmt.Errorf("scan saw %d of %d entries", n, r.Entries)
	}
	return nil
}
