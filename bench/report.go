package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Report is all that a run found out. Its JSON form only grows: fields keep their
// names and meaning as long as Version is 1.
type Report struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"`
	Machine Machine   `json:"machine"`
	Commit  string    `json:"commit,omitempty"`
	Config  Config    `json:"config"`
	Engines []About   `json:"engines"` // the first is what the others are compared with
	Figures []*Figure `json:"figures"`
}

// Machine is where it ran.
type Machine struct {
	Go        string `json:"go"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
	Processor string `json:"processor,omitempty"`
}

// About tells about an engine.
type About struct {
	Name     string `json:"name"`
	Survives string `json:"unsynced_writes_survive"` // a killed process
}

// A Figure is what one workload cost one engine.
type Figure struct {
	Workload string `json:"workload"`
	Engine   string `json:"engine"`
	Unit     Unit   `json:"unit"`
	Failed   string `json:"failed,omitempty"` // why there are no samples

	Samples []Sample `json:"samples"` // one per round

	Value    Spread `json:"value"`
	CPUPerOp Spread `json:"cpu_ns_per_op"`

	// Ratios are to the sample of the first engine in the same round: above 1, the
	// first one is better. All 0 for want of that.
	Ratio    Spread `json:"ratio"`
	CPURatio Spread `json:"cpu_ratio"`
}

// A Spread is what all rounds gave.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf returns zeros for no values.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}

func newReport(c Config, openers []Opener) *Report {
	r := &Report{
		Version: 1, Time: time.Now().UTC().Truncate(time.Second), Commit: commit(), Config: c,
		Machine: Machine{runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), Processor()},
	}
	for _, o := range openers {
		r.Engines = append(r.Engines, About{o.Name, o.Survives})
	}
	return r
}

// commit is that of the build, if it says so.
func commit() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func (r *Report) find(workload, engine string) *Figure {
	i := slices.IndexFunc(r.Figures, func(f *Figure) bool { return f.Workload == workload && f.Engine == engine })
	if i < 0 {
		return nil
	}
	return r.Figures[i]
}

func (r *Report) figure(workload, engine string) *Figure {
	f := r.find(workload, engine)
	if f == nil {
		f = &Figure{Workload: workload, Engine: engine, Samples: []Sample{}}
		r.Figures = append(r.Figures, f)
	}
	return f
}

func (r *Report) failed(workload, engine string) bool {
	f := r.find(workload, engine)
	return f != nil && f.Failed != ""
}

// fail takes all samples of the engine in the workload back.
func (r *Report) fail(workload, engine string, err error) {
	f := r.figure(workload, engine)
	*f = Figure{Workload: workload, Engine: engine, Unit: f.Unit, Failed: err.Error(), Samples: []Sample{}}
}

// add takes a sample of the next round. Within a round the first engine comes first.
func (r *Report) add(w *Workload, engine string, s Sample) {
	f := r.figure(w.Name, engine)
	f.Unit = w.unit()
	f.Samples = append(f.Samples, s)
	f.Value = spreadOf(each(f.Samples, func(s *Sample) float64 { return s.Value }))
	f.CPUPerOp = spreadOf(each(f.Samples, (*Sample).CPUPerOp))
	if first := r.find(w.Name, r.Engines[0].Name); first != nil {
		f.Ratio = ratios(f, first, func(s *Sample) float64 { return s.Value })
		f.CPURatio = ratios(f, first, (*Sample).CPUPerOp)
	}
}

func each(samples []Sample, value func(*Sample) float64) []float64 {
	var all []float64
	for i := range samples {
		all = append(all, value(&samples[i]))
	}
	return all
}

// ratios compares round by round: what disturbs the machine for longer disturbs both.
func ratios(f, first *Figure, value func(*Sample) float64) Spread {
	var all []float64
	for i := range min(len(f.Samples), len(first.Samples)) {
		if base := value(&first.Samples[i]); base > 0 {
			all = append(all, value(&f.Samples[i])/base)
		}
	}
	return spreadOf(all)
}

// inOrder returns the figures of one workload next to each other.
func (r *Report) inOrder() []*Figure {
	place := map[string]int{}
	for i, f := range r.Figures {
		if _, ok := place[f.Workload]; !ok {
			place[f.Workload] = i
		}
	}
	return slices.SortedStableFunc(slices.Values(r.Figures), func(a, b *Figure) int {
		return cmp.Compare(place[a.Workload], place[b.Workload])
	})
}

// Print writes a table with a line for each figure, and what is needed to read it.
func (r *Report) Print(w io.Writer) error {
	c := r.Config
	fmt.Fprintf(w, "%s, %d CPUs (%s); keys of %d bytes (%s), %d entries of %d, %d records of %d; compression %s, %d MiB for caches; %d rounds\n\n",
		r.Machine.Go, r.Machine.CPUs, cmp.Or(r.Machine.Processor, r.Machine.Arch), KeySize, c.Shape,
		c.Entries, c.ValueBytes, c.Records, c.RecordBytes, c.Compression, c.MemoryBytes>>20, c.Rounds)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "workload\tengine\tvalue\tunit\tp50\tp99\tp99.9\tCPU/op\t÷ %s\t(min–max)\tCPU ÷\t\n", r.Engines[0].Name)
	for _, f := range r.inOrder() {
		if f.Failed != "" {
			fmt.Fprintf(t, "%s\t%s\tno figure\t\t\t\t\t\t\t\t\t\t%.100s\n", f.Workload, f.Engine, strings.ReplaceAll(f.Failed, "\n", "; "))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			f.Workload, f.Engine, short(f.Value.Median), f.Unit,
			f.percentile(func(s *Sample) time.Duration { return s.P50 }),
			f.percentile(func(s *Sample) time.Duration { return s.P99 }),
			f.percentile(func(s *Sample) time.Duration { return s.P999 }),
			orNothing("%.0f", f.CPUPerOp.Median), orNothing("%.2f", f.Ratio.Median),
			f.Ratio.bounds(), orNothing("%.2f", f.CPURatio.Median), f.Samples[len(f.Samples)-1].Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nRatios above 1: %s is better. Less is better in every unit.\nDoes an unsynced write survive when the process is killed?\n", r.Engines[0].Name)
	for _, e := range r.Engines {
		fmt.Fprintf(w, "  %s: %s\n", e.Name, e.Survives)
	}
	return nil
}

func (f *Figure) percentile(value func(*Sample) time.Duration) string {
	return orNothing("%.0f", spreadOf(each(f.Samples, func(s *Sample) float64 { return float64(value(s)) })).Median)
}

func (s Spread) bounds() string {
	if s.Max == 0 {
		return ""
	}
	return fmt.Sprintf("(%.2f–%.2f)", s.Min, s.Max)
}

func short(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func orNothing(format string, v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// writeFile writes the report as JSON, unless name is empty.
func (r *Report) writeFile(name string) error {
	if name == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}
