package result

import (
	"fmt"
	"slices"
	"time"
)

// A Metric is a figure that samples have, by name.
type Metric struct {
	Name  string
	Unit  string // as in Go's benchmark format
	About string
	More  bool // more is better
	of    func(*Sample) float64
}

// Metrics are all. A value of 0 is one that is not known, but of errors.
var Metrics = []Metric{
	{"time", "ns/op", "wall time for each operation, over all workers", false, func(s *Sample) float64 {
		if s.Rate == 0 {
			return 0
		}
		return 1e9 / s.Rate
	}},
	{"rate", "ops/s", "good operations per second", true, func(s *Sample) float64 { return s.Rate }},
	{"p50", "p50-ns", "half of the operations took at most this", false, func(s *Sample) float64 { return float64(s.Latency.P50) }},
	{"p90", "p90-ns", "", false, func(s *Sample) float64 { return float64(s.Latency.P90) }},
	{"p99", "p99-ns", "", false, func(s *Sample) float64 { return float64(s.Latency.P99) }},
	{"p999", "p999-ns", "99.9 %", false, func(s *Sample) float64 { return float64(s.Latency.P999) }},
	{"max", "max-ns", "", false, func(s *Sample) float64 { return float64(s.Latency.Max) }},
	{"cpu", "cpu-ns/op", "user and system time of the process for each operation", false, func(s *Sample) float64 { return s.CPUPerOp }},
	{"allocs", "allocs/op", "allocations on the Go heap", false, func(s *Sample) float64 { return s.AllocsPerOp }},
	{"rss", "rss-bytes", "resident memory at the end", false, func(s *Sample) float64 { return s.ResidentBytes }},
	{"disk", "disk-bytes", "what the files occupy at the end", false, func(s *Sample) float64 { return s.DiskBytes }},
	{"writeamp", "written/user", "bytes written to files for each byte of keys and values", false, func(s *Sample) float64 { return s.WriteAmplification }},
	{"spaceamp", "disk/raw", "bytes of files for each byte of keys and values", false, func(s *Sample) float64 { return s.SpaceAmplification }},
	{"stall", "stall-s", "seconds that writers waited for background work", false, func(s *Sample) float64 { return s.StallSeconds }},
	{"silence", "silence-s", "the longest time after a fault in which no operation ended well", false, func(s *Sample) float64 {
		longest := 0.0
		for _, f := range s.Faults {
			longest = max(longest, f.Silence)
		}
		return longest
	}},
	{"recovery", "recovery-s", "the longest time from a fault until the target was as good as before", false, func(s *Sample) float64 {
		longest := 0.0
		for _, f := range s.Faults {
			switch {
			case f.Recovered < 0: // not at all: at least so long
				longest = max(longest, s.Seconds-f.At)
			default:
				longest = max(longest, f.Recovered, 0.001) // 0 would be "not known"
			}
		}
		return longest
	}},
	{"simspeed", "sim-s/cpu-s", "simulated seconds for each second of processor time", true, func(s *Sample) float64 { return s.SimulatedPerCPU }},
	{"errors", "errors", "operations that failed or were not sent", false, func(s *Sample) float64 { return float64(s.Errors + s.Unsent) }},
}

// MetricOf returns the metric of that name.
func MetricOf(name string) (Metric, error) {
	i := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		var names []string
		for _, m := range Metrics {
			names = append(names, m.Name)
		}
		return Metric{}, fmt.Errorf("no metric %q; there are %v", name, names)
	}
	return Metrics[i], nil
}

// Of returns the sample's value; 0 if it is not known.
func (m Metric) Of(s *Sample) float64 { return m.of(s) }

// All returns the values of all samples of the figure.
func (m Metric) All(f *Figure) []float64 {
	var v []float64
	for _, s := range f.Samples {
		v = append(v, m.of(s))
	}
	return v
}

// A Spread is what all rounds gave.
type Spread struct{ Median, Min, Max float64 }

// Spread returns that of a metric over the samples; zeros without samples.
func (m Metric) Spread(f *Figure) Spread {
	v := m.All(f)
	if len(v) == 0 {
		return Spread{}
	}
	slices.Sort(v)
	n := len(v)
	return Spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

// median is that of a metric by name; the name is one of ours.
func (f *Figure) median(name string) float64 {
	m, err := MetricOf(name)
	if err != nil {
		return 0
	}
	return m.Spread(f).Median
}

// Span writes a time of so many nanoseconds for people.
func Span(ns float64) string {
	switch {
	case ns <= 0:
		return "–"
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.3g µs", ns/1e3)
	case ns < 1e9:
		return fmt.Sprintf("%.3g ms", ns/1e6)
	}
	return time.Duration(ns).Round(time.Millisecond).String()
}

// Count writes a large number for people.
func Count(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 1e4:
		return fmt.Sprintf("%.0f", v)
	case v < 1e6:
		return fmt.Sprintf("%.1f k", v/1e3)
	}
	return fmt.Sprintf("%.2f M", v/1e6)
}

// Bytes writes a size for people.
func Bytes(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 1<<20:
		return fmt.Sprintf("%.0f KiB", v/1024)
	case v < 1<<30:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", v/(1<<30))
}
