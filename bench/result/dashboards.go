package result

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// TSV writes a line for each figure with the columns that RocksDB's tools/benchmark.sh writes for
// db_bench, in its units: times of operations in microseconds, processor time in thousands of seconds, memory in GiB. What is not known here is NA. All are
// medians.
func TSV(w io.Writer, f *File) error {
	fmt.Fprintln(w, strings.Join([]string{"ops_sec", "mb_sec", "lsm_sz", "blob_sz", "c_wgb", "w_amp", "c_mbps", "c_wsecs", "c_csecs", "b_rgb", "b_wgb",
		"usec_op", "p50", "p99", "p99.9", "p99.99", "pmax", "uptime", "stall%", "Nstall", "u_cpu", "s_cpu", "rss", "test", "date", "version", "job_id", "githash"}, "\t"))
	for _, g := range f.Figures {
		if len(g.Samples) == 0 {
			continue
		}
		of := func(value func(*Sample) float64) float64 {
			var v []float64
			for _, s := range g.Samples {
				v = append(v, value(s))
			}
			return middle(v)
		}
		us := func(name string) string { return orNA("%.1f", g.median(name)/1e3) }
		_, err := fmt.Fprintln(w, strings.Join([]string{
			orNA("%.0f", g.median("rate")), orNA("%.1f", g.median("rate")*bytesOfOne(g)/(1<<20)), sizeOrNA(g.median("disk")), "NA",
			orNA("%.2f", of(func(s *Sample) float64 { return s.WrittenBytes / (1 << 30) })), orNA("%.1f", g.median("writeamp")), "NA", "NA", "NA", "NA", "NA",
			us("time"), us("p50"), us("p99"), us("p999"), orNA("%.1f", of(func(s *Sample) float64 { return float64(s.Latency.P9999) / 1e3 })), us("max"),
			fmt.Sprintf("%.0f", of(func(s *Sample) float64 { return s.Seconds })),
			fmt.Sprintf("%.1f", of(func(s *Sample) float64 { return 100 * s.StallSeconds / max(s.Seconds, 1e-9) })), fmt.Sprintf("%.0f", of(func(s *Sample) float64 { return s.Stalls })),
			orNA("%.4f", of(func(s *Sample) float64 { return s.CPUPerOp * float64(s.Ops) / 1e12 })), "NA", orNA("%.2f", g.median("rss")/(1<<30)),
			tag(g.Workload.Name), f.Time.Format("2006-01-02T15:04:05"), tag(g.Target), "NA", orText(f.Commit),
		}, "\t"))
		if err != nil {
			return err
		}
	}
	return nil
}

// bytesOfOne is what keys and values of an operation have on average, if each is of one entry that is there; else 0.
func bytesOfOne(g *Figure) float64 {
	for k, share := range g.Workload.Operations {
		switch k {
		case drive.Get, drive.Put, drive.Insert, drive.Add:
		default:
			if share > 0 {
				return 0
			}
		}
	}
	if g.Workload.Keys.Choose == drive.FromTrace || len(g.Workload.Operations) == 0 {
		return 0
	}
	size, sum := g.Workload.Sizes(), 0
	const some = 1000
	for i := range uint64(some) {
		sum += bench.KeySize + size(i)
	}
	return float64(sum) / some
}

func orNA(format string, v float64) string {
	if v == 0 {
		return "NA"
	}
	return fmt.Sprintf(format, v)
}

func orText(s string) string {
	if s == "" {
		return "NA"
	}
	return s
}

func sizeOrNA(bytes float64) string {
	if bytes == 0 {
		return "NA"
	}
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.0fGB", bytes/(1<<30))
	}
	return fmt.Sprintf("%.0fMB", bytes/(1<<20))
}

// SmallerIsBetter writes what github-action-benchmark reads as customSmallerIsBetter.
func SmallerIsBetter(w io.Writer, f *File) error {
	type entry struct {
		Name  string  `json:"name"`
		Unit  string  `json:"unit"`
		Value float64 `json:"value"`
		Range string  `json:"range,omitempty"`
		Extra string  `json:"extra,omitempty"`
	}
	entries := []entry{}
	for _, g := range f.Figures {
		for _, m := range Metrics {
			s := m.Spread(g)
			if m.More || s.Median == 0 {
				continue
			}
			e := entry{g.Name() + " " + m.Name, m.Unit, s.Median, "", fmt.Sprintf("%d rounds", len(g.Samples))}
			if i := m.Another(g); i.Level > 0 {
				e.Range, e.Extra = fmt.Sprintf("± %.4g", (i.High-i.Low)/2), fmt.Sprintf("%d rounds; another run lies from %.4g to %.4g in %.0f %% of cases", len(g.Samples), i.Low, i.High, 100*i.Level)
			}
			entries = append(entries, e)
		}
	}
	return writeJSON(w, entries)
}

// BMF writes Bencher's metric format. Bounds are those between which another run lies.
func BMF(w io.Writer, f *File) error {
	type measure struct {
		Value float64  `json:"value"`
		Lower *float64 `json:"lower_value,omitempty"`
		Upper *float64 `json:"upper_value,omitempty"`
	}
	all := map[string]map[string]measure{}
	// Bencher's own measures have these names.
	names := map[string]string{"time": "latency", "rate": "throughput"}
	for _, g := range f.Figures {
		measures := map[string]measure{}
		for _, m := range Metrics {
			if s := m.Spread(g); s.Median != 0 {
				name := m.Name
				if n := names[name]; n != "" {
					name = n
				}
				measure := measure{Value: s.Median}
				if i := m.Another(g); i.Level > 0 {
					measure.Lower, measure.Upper = &i.Low, &i.High
				}
				measures[name] = measure
			}
		}
		if len(measures) > 0 {
			all[g.Name()] = measures
		}
	}
	return writeJSON(w, all)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Markdown writes a summary for a pull request.
func Markdown(w io.Writer, f *File) error {
	fmt.Fprint(w, "| workload | target | rate/s | another run | p50 | p99 | p99.9 | CPU/op | notes |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n")
	for _, g := range f.Figures {
		if len(g.Samples) == 0 {
			fmt.Fprintf(w, "| %s | %s | | | | | | | no figure: %.200s |\n", cell(g.Workload.Name), cell(g.Target), cell(g.Failed))
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cell(g.Workload.Name), cell(g.Target), Count(g.median("rate")), g.another("rate"),
			Span(g.median("p50")), Span(g.median("p99")), Span(g.median("p999")), Span(g.median("cpu")), cell(strings.Join(g.notes(), "; ")))
	}
	_, err := fmt.Fprintf(w, "\n%s\n\n%s\n", aboutAnother, strings.ReplaceAll(f.Environment.line(), "\n", "; "))
	return err
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
