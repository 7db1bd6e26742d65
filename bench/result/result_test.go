package result

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/statordb/stator/bench/drive"
)

var update = flag.Bool("update", false, "write schema.json anew")

// example has two targets, two rounds each, with latencies of 1 to 1000 µs.
func example(t *testing.T) *File {
	t.Helper()
	w, err := drive.Parse("x", []byte(`{"name":"read <b>","about":"a & b","operations":{"get":1},"pace":{"rate":1000}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := &File{Version: Version, Time: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Commit: "abc", Environment: Environment{OS: "linux", Arch: "amd64", Go: "go1", CPUs: 2}}
	for _, target := range []string{"engine", "http://127.0.0.1:8000"} {
		for round := range 2 {
			m := &drive.Measurement{Ops: 1000, Wall: 2 * time.Second, Latency: drive.NewHistogram(), Settled: true, Steady: true, Measured: true,
				Usage: drive.Usage{CPU: time.Second, Allocs: 3000, WrittenBytes: 500, UserBytes: 100, DiskBytes: 300}}
			for i := range 1000 {
				m.Latency.RecordValue(int64(i+1) * 1000)
			}
			m.Service, m.ByKind = m.Latency, map[drive.Kind]*hdrhistogram.Histogram{drive.Get: m.Latency}
			m.Seconds = []*hdrhistogram.Histogram{m.Latency, m.Latency}
			s, err := New(round, w, m, 200)
			if err != nil {
				t.Fatal(err)
			}
			s.At = f.Time.Add(time.Duration(round+1) * 10 * time.Second)
			f.Add(w, target, s)
		}
	}
	return f
}

func TestSchemaIsThatOfTheTypes(t *testing.T) {
	want, err := makeSchema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema, want) {
		t.Error("schema.json is not that of the types: go test ./bench/result -run Schema -update, and see that fields were only added")
	}
}

// A search for the peak that found nothing does not say that it did.
func TestPeakNote(t *testing.T) {
	w := &drive.Workload{Name: "p", Pace: drive.Pace{Peak: &drive.Peak{Percentile: 99, Below: drive.Span(time.Millisecond)}}}
	kept, missed := []drive.Trial{{Kept: false}, {Kept: true}}, []drive.Trial{{Kept: true}, {Kept: false}}
	for _, c := range []struct {
		rounds [][]drive.Trial
		want   string
	}{
		{[][]drive.Trial{kept, kept}, "highest rate with p99 below 1ms"},
		{[][]drive.Trial{missed, missed}, "no rate was found with p99 below 1ms: this is the last one tried"},
		{[][]drive.Trial{kept, missed}, "highest rate with p99 below 1ms, found in 1 of 2 rounds"},
	} {
		g := &Figure{Workload: w, Target: "t"}
		for _, trials := range c.rounds {
			g.Samples = append(g.Samples, &Sample{Steady: true, Settled: true, Trials: trials})
		}
		if got := g.notes(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestFileRoundTrip(t *testing.T) {
	f := example(t)
	name := t.TempDir() + "/r.json"
	if err := f.Write(name); err != nil {
		t.Fatal(err)
	}
	again, err := Read(name)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, again) {
		t.Error("read differs from written")
	}
	s := again.Figures[0].Samples[0]
	if s.Rate != 500 || s.WriteAmplification != 5 || s.SpaceAmplification != 1.5 || s.AllocsPerOp != 3 || s.CPUPerOp != 1e6 {
		t.Errorf("%+v", s)
	}
	if p := s.Latency; math.Abs(float64(p.P99)/990e3-1) > 1e-3 || math.Abs(float64(p.P50)/500e3-1) > 1e-3 {
		t.Errorf("%+v", p)
	}
	for _, bad := range []string{``, `{"version":2}`, `{"version":1,"figures":[{}]}`, `{"version":1,"figures":[null]}`, `{"version":1,"figures":[{"workload":{"name":"x"},"samples":[null]}]}`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s: taken", bad)
		}
	}
}

// The format of Go's benchmarks: https://go.dev/design/14313-benchmark-format.
func TestGoBench(t *testing.T) {
	var b strings.Builder
	if err := GoBench(&b, example(t)); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^Benchmark[A-Z]\S*\t\d+(\t[\d.]+ \S+)+$`)
	lines := 0
	for l := range strings.Lines(b.String()) {
		if l = strings.TrimSuffix(l, "\n"); strings.HasPrefix(l, "Benchmark") {
			lines++
			if !line.MatchString(l) {
				t.Errorf("not a benchmark line: %q", l)
			}
		}
	}
	if lines != 4 || !strings.Contains(b.String(), "\t2000000 ns/op") {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
}

func TestHLogIsRead(t *testing.T) {
	var b bytes.Buffer
	if err := HLog(&b, example(t)); err != nil {
		t.Fatal(err)
	}
	r := hdrhistogram.NewHistogramLogReader(&b)
	n := 0
	for {
		h, err := r.NextIntervalHistogram()
		if errors.Is(err, io.EOF) || err == nil && h == nil {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		if h.TotalCount() != 1000 || !strings.HasPrefix(h.Tag(), "read_<b>/") || h.EndTimeMs()-h.StartTimeMs() != 2000 {
			t.Errorf("%d values, tag %q, %d to %d", h.TotalCount(), h.Tag(), h.StartTimeMs(), h.EndTimeMs())
		}
	}
	if n != 4 {
		t.Errorf("%d histograms", n)
	}
	var p strings.Builder
	if err := HGRM(&p, example(t).Figures[0]); err != nil || !strings.Contains(p.String(), "#[Mean") || !strings.Contains(p.String(), "Percentile") {
		t.Errorf("%v:\n%s", err, p.String())
	}
}

func TestDashboards(t *testing.T) {
	f := example(t)
	var b bytes.Buffer
	if err := SmallerIsBetter(&b, f); err != nil {
		t.Fatal(err)
	}
	var entries []struct {
		Name, Unit string
		Value      float64
	}
	if err := json.Unmarshal(b.Bytes(), &entries); err != nil || len(entries) < 10 {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	for _, e := range entries {
		if e.Name == "" || e.Unit == "" || e.Value <= 0 || strings.Contains(e.Name, "rate") {
			t.Errorf("%+v", e)
		}
	}
	b.Reset()
	if err := BMF(&b, f); err != nil {
		t.Fatal(err)
	}
	var bmf map[string]map[string]struct {
		Value float64  `json:"value"`
		Lower *float64 `json:"lower_value"`
	}
	if err := json.Unmarshal(b.Bytes(), &bmf); err != nil || bmf["read <b>/engine"]["latency"].Value != 2e6 || bmf["read <b>/engine"]["throughput"].Lower == nil {
		t.Errorf("%v: %s", err, b.Bytes())
	}
	b.Reset()
	if err := TSV(&b, f); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(b.String()), "\n")
	for _, r := range rows {
		if strings.Count(r, "\t") != strings.Count(rows[0], "\t") {
			t.Errorf("columns differ: %q", r)
		}
	}
	if len(rows) != 3 || !strings.HasPrefix(rows[1], "500\t") {
		t.Errorf("%q", rows)
	}
}

// The page stands alone, names are escaped, and its drawings are well-formed.
func TestHTML(t *testing.T) {
	f := example(t)
	f.Figures = append(f.Figures, &Figure{Workload: f.Figures[0].Workload, Target: "broken", Failed: "no <such> thing"})
	var b bytes.Buffer
	if err := HTML(&b, f); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<b>", "http-src", "<script", "src=", "url(", "@import", "<link", "ZgotmplZ", "NaN", "Inf", "<such>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"read &lt;b&gt;", "a &amp; b", "width=device-width", "<polyline", "99 %", "write amplification", "÷ first"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(drawings) != 2 {
		t.Errorf("%d drawings", len(drawings))
	}
	for _, d := range drawings {
		if err := xml.Unmarshal([]byte(d), new(struct{})); err != nil {
			t.Errorf("a drawing is not XML: %v", err)
		}
	}
}

func TestTextAndMarkdown(t *testing.T) {
	f := example(t)
	f.Figures[0].Samples[0].Unsent, f.Figures[0].Samples[1].Steady = 7, false
	for name, write := range map[string]func(io.Writer, *File) error{"text": Text, "markdown": Markdown} {
		var b strings.Builder
		if err := write(&b, f); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"7 operations were due and not sent", "drifts in 1 of 2 rounds", "990 µs", "500"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b.String())
			}
		}
	}
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	l, err := Probe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if min(l.Clock, l.SyncP50, l.SyncsPerSec, l.Memory, l.Copy, l.HTTP) <= 0 {
		t.Errorf("%+v", l)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("the probe left %v", left)
	}
	e := Look(dir)
	if e.CPUs < 1 || e.Go == "" {
		t.Errorf("%+v", e)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"figures":[{"workload":{"name":"x"},"target":"e","samples":[{"histogram":"HISTFAAAABx4nJNpmSzMwMDAyAABMJoRTM0h0gyAAQBQkgSe"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		for _, write := range []func(io.Writer, *File) error{Text, GoBench, HLog, TSV, SmallerIsBetter, BMF, HTML, Markdown} {
			write(io.Discard, r) // an error is fine, a panic is not
		}
	})
}
