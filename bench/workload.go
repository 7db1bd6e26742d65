package bench

import (
	"fmt"
	"regexp"
	"slices"
)

// A Workload is one kind of work.
type Workload struct {
	Name string
	Data Data // what it works on

	// Group makes the workloads of one group, which follow each other, run on one
	// engine before the next engine's turn. Default: a group of its own.
	Group string

	Threads int     // default 1
	Batch   int     // entries of a commit; default 1
	Chooser Chooser // of the entries asked for; default Uniform
	Mix     Mix     // what operations there are, if the workload is made of operations
	Durable bool    // each commit is synced
	Percent int     // of the entries, to find

	// Order is in which a fill writes its entries.
	Order Order

	// Ops is how many operations all threads do together.
	Ops func(c Config) int

	// TimeEvery is how many operations there are for each one that is timed by
	// itself: the clock costs 20 ns, and a read may take only ten times that.
	// Default 1.
	TimeEvery int

	Unit Unit // of the figure; default NanosPerOp

	// Fresh makes a new process do the workload.
	Fresh bool

	run func(r *runner, w *Workload) (Sample, error)
}

// Data is what a workload finds.
type Data string

// The data.
const (
	Empty   Data = "empty"   // nothing, on each run
	Entries Data = "entries" // Config.Entries of Config.ValueBytes
	Records Data = "records" // Config.Records of Config.RecordBytes
	Faceted Data = "faceted" // as Entries, to be found by value
)

// A Unit says what a figure counts. Less is better in all of them.
type Unit string

// The units.
const (
	NanosPerOp Unit = "ns/op"
	NanosP99   Unit = "ns, p99"
	Millis     Unit = "ms"
	MiB        Unit = "MiB"
	TimesRaw   Unit = "× raw" // times the bytes of keys and values
)

// workloads are all of them. Those on the same data stand together, and those
// that change data behind those that want it as loaded.
var workloads = slices.Concat(fills, commits, loads, reads, scans, starts, overwrites, readsWhileWriting, endings, filters, ycsb)

// match returns the workloads that the expression selects, with all of their groups.
func match(expr string) ([]*Workload, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("which workloads to run: %w", err)
	}
	groups := map[string]bool{}
	for i := range workloads {
		if w := &workloads[i]; w.Group != "" && re.MatchString(w.Name) {
			groups[w.Group] = true
		}
	}
	var found []*Workload
	for i := range workloads {
		if w := &workloads[i]; re.MatchString(w.Name) || groups[w.Group] {
			found = append(found, w)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no workload matches %q; there are %v", expr, names())
	}
	return found, nil
}

func names() []string {
	var all []string
	for i := range workloads {
		all = append(all, workloads[i].Name)
	}
	return all
}

func workload(name string) *Workload {
	i := slices.IndexFunc(workloads, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return &workloads[i]
}

func (w *Workload) threads() int   { return max(1, w.Threads) }
func (w *Workload) batch() int     { return max(1, w.Batch) }
func (w *Workload) timeEvery() int { return max(1, w.TimeEvery) }

func (w *Workload) unit() Unit {
	if w.Unit == "" {
		return NanosPerOp
	}
	return w.Unit
}

// How many operations there are.
func allReads(c Config) int               { return c.Reads }
func perReads(n int) func(Config) int     { return func(c Config) int { return max(1, c.Reads/n) } }
func allEntries(c Config) int             { return c.Entries }
func timesCommits(n int) func(Config) int { return func(c Config) int { return n * c.Commits } }
