package result

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// Version is that of the file's form. Within a version fields are only added, and keep
// their names, units and meaning.
const Version = 1

// A File is all that one command measured.
type File struct {
	Version     int         `json:"version"` // 1
	Time        time.Time   `json:"time"`
	Commit      string      `json:"commit,omitempty"` // of the program that measured
	Label       string      `json:"label,omitempty"`  // what the caller calls it
	Command     []string    `json:"command,omitempty"`
	Turns       string      `json:"turns,omitempty"` // results with the same text here were made in turns, round by round
	Environment Environment `json:"environment"`
	Figures     []*Figure   `json:"figures"`
}

// A Figure is one workload on one target, measured some times.
type Figure struct {
	Workload *drive.Workload `json:"workload"` // with all defaults
	Target   string          `json:"target"`   // engine, database, a URL, or the name of a peer
	Samples  []*Sample       `json:"samples"`
	Failed   string          `json:"failed,omitempty"` // why there are no samples

	// AnotherRun says, by the name of a metric, where the median of another run's samples lies.
	AnotherRun map[string]Interval `json:"another_run,omitempty"`
}

// Name is that of the workload and, behind a slash, of the target.
func (f *Figure) Name() string { return f.Workload.Name + "/" + f.Target }

// A Sample is one round.
type Sample struct {
	Round int       `json:"round"` // from 0
	At    time.Time `json:"at"`    // its end

	Ops    int64 `json:"ops"` // errors and those not sent included
	Errors int64 `json:"errors"`
	Unsent int64 `json:"unsent"` // due, but not sent
	// Conflicts were refused because of other operations on the same items. They are no errors, not among Ops, and not in latencies.
	Conflicts  int64   `json:"conflicts,omitempty"`
	FirstError string  `json:"first_error,omitempty"`
	Seconds    float64 `json:"seconds"`
	Rate       float64 `json:"rate"`            // good operations per second
	Asked      float64 `json:"asked,omitempty"` // rate of an open loop

	// From when an operation was due; in a closed loop that is when it began.
	Latency Percentiles            `json:"latency"`
	Service Percentiles            `json:"service"` // from the real begin
	Late    Percentiles            `json:"late"`    // how late the harness began
	ByKind  map[string]Percentiles `json:"by_kind"` // of operation

	// Of the process of an engine or a database in process, the harness included; of the server's processes, if they are others and
	// run on this machine. 0: not known.
	CPUPerOp           float64 `json:"cpu_ns_per_op"`
	AllocsPerOp        float64 `json:"allocs_per_op"`
	ResidentBytes      float64 `json:"resident_bytes"`
	DiskBytes          float64 `json:"disk_bytes"`
	UserBytes          float64 `json:"user_bytes"` // keys and values written
	WrittenBytes       float64 `json:"written_bytes"`
	WriteAmplification float64 `json:"write_amplification"`
	SpaceAmplification float64 `json:"space_amplification"`
	Stalls             float64 `json:"stalls"`
	StallSeconds       float64 `json:"stall_seconds"`
	ReadBytes          float64 `json:"read_bytes"`        // from the disk, by a server's processes
	SimulatedSeconds   float64 `json:"simulated_seconds"` // time that passed in simulated worlds
	SimulatedPerCPU    float64 `json:"simulated_per_cpu"` // the same for each second of processor time

	WarmupSeconds float64 `json:"warmup_seconds"`
	Settled       bool    `json:"settled"` // the warm-up ended because the rate was level
	Steady        bool    `json:"steady"`  // and it stayed so
	Drift         float64 `json:"drift"`   // rate of the second half / first half

	Series []Second      `json:"series"`
	Trials []drive.Trial `json:"trials,omitempty"` // of a search for the peak

	Machine *Machine `json:"machine,omitempty"` // what it was like meanwhile

	Faults []Fault `json:"faults,omitempty"` // what was done to the target meanwhile
	Phases []Phase `json:"phases,omitempty"` // what the faults divide the run into

	// Histogram is that of Latency in nanoseconds: HdrHistogram V2, compressed, in base64.
	Histogram string `json:"histogram"`
}

// Percentiles are in nanoseconds.
type Percentiles struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ns"`
	Min   int64   `json:"min_ns"`
	P50   int64   `json:"p50_ns"`
	P90   int64   `json:"p90_ns"`
	P99   int64   `json:"p99_ns"`
	P999  int64   `json:"p999_ns"`
	P9999 int64   `json:"p9999_ns"`
	Max   int64   `json:"max_ns"`
}

// A Second is one of a run. What was used in it is not known of every target: 0.
type Second struct {
	At   int   `json:"at"` // from the start
	Ops  int64 `json:"ops"`
	P50  int64 `json:"p50_ns"`
	P99  int64 `json:"p99_ns"`
	Max  int64 `json:"max_ns"`
	Full bool  `json:"full"` // not the second in which the run ended

	CPU           float64 `json:"cpu_s"` // processor time in this second: 2 is two processors
	Allocs        float64 `json:"allocs"`
	WrittenBytes  float64 `json:"written_bytes"`
	StallSeconds  float64 `json:"stall_seconds"`
	ResidentBytes float64 `json:"resident_bytes"` // at its end
	DiskBytes     float64 `json:"disk_bytes"`     // at its end
}

// A Fault is one that was done. Times are in seconds.
type Fault struct {
	At   float64 `json:"at_s"` // from the start
	Do   string  `json:"do"`
	Node string  `json:"node"`
	Took float64 `json:"took_s"` // until it was done: of a start, until the node answers

	// Silence is the longest time after it, until the next one, in which no operation ended well. Recovered is
	// the time until the target was as good as before for a second (docs/bench.md); -1: not before the next fault or the end.
	Silence   float64 `json:"silence_s"`
	Recovered float64 `json:"recovered_s"`
}

// A Phase is a part of a run between faults. An operation belongs to the one in which it ends.
type Phase struct {
	Name    string      `json:"name"`
	From    float64     `json:"from_s"`
	To      float64     `json:"to_s"`
	Ops     int64       `json:"ops"`
	Errors  int64       `json:"errors"` // those not sent included
	Rate    float64     `json:"rate"`
	Silence float64     `json:"silence_s"`
	Latency Percentiles `json:"latency"`
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	if h == nil || h.TotalCount() == 0 {
		return Percentiles{}
	}
	q := func(p float64) int64 { return bench.Quantile(h, p) }
	return Percentiles{h.TotalCount(), h.Mean(), h.Min(), q(50), q(90), q(99), q(99.9), q(99.99), h.Max()}
}

// New makes a sample of what was measured. raw is what the keys and values of the data have in
// bytes, for the amplification of space.
func New(round int, w *drive.Workload, m *drive.Measurement, raw float64) (*Sample, error) {
	s := &Sample{
		Round: round, At: time.Now().UTC().Truncate(time.Millisecond), Ops: m.Ops, Errors: m.Errors, Unsent: m.Unsent, Conflicts: m.Conflicts,
		Seconds: m.Wall.Seconds(), Rate: m.Rate(), Asked: w.Pace.Rate,
		Latency: percentiles(m.Latency), Service: percentiles(m.Service), Late: percentiles(m.Late), ByKind: map[string]Percentiles{},
		WarmupSeconds: m.Warmup.Seconds(), Settled: m.Settled, Steady: m.Steady, Drift: m.Drift, Trials: m.Trials,
	}
	if m.First != nil {
		s.FirstError = m.First.Error()
	}
	for k, h := range m.ByKind {
		s.ByKind[string(k)] = percentiles(h)
	}
	for i, h := range m.Seconds {
		second := Second{At: i, Ops: h.TotalCount(), P50: bench.Quantile(h, 50), P99: bench.Quantile(h, 99), Max: h.Max(), Full: i < int(m.Wall/time.Second)}
		if i < len(m.BySecond) {
			u := m.BySecond[i]
			second.CPU, second.Allocs, second.WrittenBytes, second.StallSeconds = u.CPU.Seconds(), u.Allocs, u.WrittenBytes, u.StallTime.Seconds()
			second.ResidentBytes, second.DiskBytes = u.ResidentBytes, u.DiskBytes
		}
		s.Series = append(s.Series, second)
	}
	for _, b := range m.Blows {
		f := Fault{b.At.Seconds(), string(b.Do), b.Node, b.Took.Seconds(), b.Silence.Seconds(), b.Recovered.Seconds()}
		if b.Recovered < 0 {
			f.Recovered = -1
		}
		s.Faults = append(s.Faults, f)
	}
	for i := range m.Phases {
		p := &m.Phases[i]
		s.Phases = append(s.Phases, Phase{p.Name, p.From.Seconds(), p.To.Seconds(), p.Ops, p.Errors, p.Rate(), p.Silence.Seconds(), percentiles(p.Latency)})
	}
	ops := float64(max(1, m.Ops+m.Conflicts))
	u := m.Usage
	s.CPUPerOp, s.AllocsPerOp = float64(u.CPU)/ops, u.Allocs/ops
	s.ResidentBytes, s.DiskBytes, s.UserBytes, s.WrittenBytes = u.ResidentBytes, u.DiskBytes, u.UserBytes, u.WrittenBytes
	s.Stalls, s.StallSeconds = u.Stalls, u.StallTime.Seconds()
	s.ReadBytes, s.SimulatedSeconds = u.ReadBytes, u.Simulated.Seconds()
	if u.CPU > 0 {
		s.SimulatedPerCPU = u.Simulated.Seconds() / u.CPU.Seconds()
	}
	if u.UserBytes > 0 && u.WrittenBytes > 0 {
		s.WriteAmplification = u.WrittenBytes / u.UserBytes
	}
	if raw > 0 && u.DiskBytes > 0 {
		s.SpaceAmplification = u.DiskBytes / raw
	}
	code, err := m.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode the histogram: %w", err)
	}
	s.Histogram = string(code)
	return s, nil
}

// Distribution is the sample's histogram.
func (s *Sample) Distribution() (*hdrhistogram.Histogram, error) {
	if _, err := base64.StdEncoding.DecodeString(s.Histogram); err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	h, err := hdrhistogram.Decode([]byte(s.Histogram))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return h, nil
}

// Distribution is that of all samples together.
func (f *Figure) Distribution() (*hdrhistogram.Histogram, error) {
	all := drive.NewHistogram()
	for _, s := range f.Samples {
		h, err := s.Distribution()
		if err != nil {
			return nil, err
		}
		all.Merge(h)
	}
	return all, nil
}

// Find returns the figure, or nil.
func (f *File) Find(name string) *Figure {
	for _, g := range f.Figures {
		if g.Name() == name {
			return g
		}
	}
	return nil
}

// Add takes a sample of a figure.
func (f *File) Add(w *drive.Workload, target string, s *Sample) {
	g := f.Find(w.Name + "/" + target)
	if g == nil {
		g = &Figure{Workload: w, Target: target}
		f.Figures = append(f.Figures, g)
	}
	g.Samples = append(g.Samples, s)
}

// Join adds the samples of another file of the same kind. The environment stays what it was.
func (f *File) Join(other *File) {
	for _, g := range other.Figures {
		if own := f.Find(g.Name()); own != nil {
			own.Samples, own.AnotherRun = append(own.Samples, g.Samples...), nil
			continue
		}
		f.Figures = append(f.Figures, g)
	}
}

// Read reads a file.
func Read(name string) (*File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Decode reads the text of a file and checks it.
func Decode(data []byte) (*File, error) {
	f := &File{}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("not a result of \"stator bench run --json\": %w", err)
	}
	if f.Version != Version {
		return nil, fmt.Errorf("a result of version %d; this program reads version %d", f.Version, Version)
	}
	for _, g := range f.Figures {
		if g == nil || g.Workload == nil || g.Workload.Name == "" {
			return nil, errors.New("a figure without a workload")
		}
		for _, s := range g.Samples {
			if s == nil {
				return nil, fmt.Errorf("%s: an empty sample", g.Name())
			}
		}
	}
	return f, nil
}

// Write writes a file.
func (f *File) Write(name string) error {
	data, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}
