package result

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/statordb/stator/bench"
)

//go:embed report.html
var reportText string

var report = template.Must(template.New("report").Funcs(template.FuncMap{
	"span": Span, "count": Count, "bytes": Bytes, "nanos": func(v int64) string { return Span(float64(v)) }, "seconds": func(v float64) string { return Span(1e9 * v) }, "join": func(s []string) string { return strings.Join(s, "; ") },
}).Parse(reportText))

// HTML writes a page that needs nothing else: no script, no font, no network. Figures of one
// workload stand side by side, one for each target.
func HTML(w io.Writer, f *File) error {
	page := pageOf{File: f, Line: f.Environment.line(), About: aboutAnother, Title: cmp.Or(f.Label, "Stator bench")}
	var order []string
	groups := map[string]*groupOf{}
	for _, g := range f.Figures {
		name := g.Workload.Name
		if groups[name] == nil {
			groups[name] = &groupOf{Name: name, About: g.Workload.About}
			order = append(order, name)
		}
		one, err := figureOf(g, len(groups[name].Figures))
		if err != nil {
			return err
		}
		groups[name].Figures = append(groups[name].Figures, one)
	}
	for _, name := range order {
		g := groups[name]
		g.draw()
		page.Groups = append(page.Groups, g)
	}
	return report.Execute(w, page)
}

type pageOf struct {
	*File
	Title  string
	Line   string
	About  string // of the column "another run"
	Groups []*groupOf
}

type groupOf struct {
	Name, About string
	Figures     []*drawnFigure
	Latency     template.HTML
	Series      template.HTML
	CPU         template.HTML
	Written     template.HTML
	Bars        []bars
}

type drawnFigure struct {
	*Figure
	Color                             string
	Rate, P50, P90, P99, P999, Max    float64
	CPU, Allocs, RSS, WriteAmp, Space float64
	Another, Ratio                    string
	Notes                             []string
	curve                             []point
	series, cpu, written              []point
	faults                            []float64 // seconds at which one began, in the series
}

// A roundPhase is a phase with the round that it is of.
type roundPhase struct {
	Phase
	Round int
}

// Phases are those of all rounds.
func (d *drawnFigure) Phases() (all []roundPhase) {
	for _, s := range d.Samples {
		for _, p := range s.Phases {
			all = append(all, roundPhase{p, s.Round + 1})
		}
	}
	return all
}

type bars struct {
	Name string
	Bars []bar
}

type bar struct {
	Name, Text, Color string
	Percent           float64 // of the longest
}

type point struct{ x, y float64 }

// colors differ in lightness, too, so that they can be told apart without hue.
var colors = []string{"#1f5fbf", "#d9822b", "#2e8b57", "#8a3ffc", "#b02a37", "#5b6770"}

func figureOf(g *Figure, i int) (*drawnFigure, error) {
	d := &drawnFigure{Figure: g, Color: colors[i%len(colors)], Notes: g.notes(), Another: g.another("rate")}
	if len(g.Samples) == 0 {
		return d, nil
	}
	d.Rate, d.P50, d.P90, d.P99, d.P999, d.Max = g.median("rate"), g.median("p50"), g.median("p90"), g.median("p99"), g.median("p999"), g.median("max")
	d.CPU, d.Allocs, d.RSS, d.WriteAmp, d.Space = g.median("cpu"), g.median("allocs"), g.median("rss"), g.median("writeamp"), g.median("spaceamp")
	h, err := g.Distribution()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.Name(), err)
	}
	d.curve = curve(h)
	at := 0.0
	for _, s := range g.Samples { // the rounds one behind the other
		for _, f := range s.Faults {
			d.faults = append(d.faults, at+f.At)
		}
		for _, sec := range s.Series {
			if !sec.Full {
				continue
			}
			d.series = append(d.series, point{at, float64(sec.Ops)})
			if s.CPUPerOp > 0 {
				d.cpu = append(d.cpu, point{at, sec.CPU})
			}
			if s.WrittenBytes > 0 {
				d.written = append(d.written, point{at, sec.WrittenBytes})
			}
			at++
		}
	}
	return d, nil
}

// curve has the percentile p at x = log10(1/(1-p)): 90 % at 1, 99 % at 2.
func curve(h *hdrhistogram.Histogram) []point {
	var points []point
	last := math.Log10(float64(max(2, h.TotalCount())))
	for x := 0.0; x <= last; x += 0.05 {
		p := 100 * (1 - math.Pow(10, -x))
		points = append(points, point{x, float64(max(1, bench.Quantile(h, p)))})
	}
	return points
}

func (g *groupOf) draw() {
	var curves, series, cpu, written []line
	var faults []float64
	for _, f := range g.Figures {
		curves = append(curves, line{f.Color, f.curve})
		series = append(series, line{f.Color, f.series})
		cpu = append(cpu, line{f.Color, f.cpu})
		written = append(written, line{f.Color, f.written})
		faults = append(faults, f.faults...)
		if f != g.Figures[0] && f.Rate > 0 && g.Figures[0].Rate > 0 {
			f.Ratio = fmt.Sprintf("%.2f", f.Rate/g.Figures[0].Rate)
		}
	}
	g.Latency = plot(curves, Span, true, nil)
	g.Series = plot(series, Count, false, faults)
	g.CPU = plot(cpu, func(v float64) string { return fmt.Sprintf("%.2f", v) }, false, faults)
	g.Written = plot(written, shortBytes, false, faults)
	for _, m := range []struct {
		name  string
		value func(*drawnFigure) float64
		text  func(float64) string
	}{
		{"operations per second", func(f *drawnFigure) float64 { return f.Rate }, Count},
		{"p99", func(f *drawnFigure) float64 { return f.P99 }, Span},
		{"CPU for each operation", func(f *drawnFigure) float64 { return f.CPU }, Span},
		{"write amplification", func(f *drawnFigure) float64 { return f.WriteAmp }, number},
		{"space amplification", func(f *drawnFigure) float64 { return f.Space }, number},
		{"resident memory", func(f *drawnFigure) float64 { return f.RSS }, Bytes},
	} {
		b := bars{Name: m.name}
		most := 0.0
		for _, f := range g.Figures {
			most = max(most, m.value(f))
		}
		if most == 0 {
			continue
		}
		for _, f := range g.Figures {
			if m.value(f) == 0 {
				continue // not known of this target
			}
			b.Bars = append(b.Bars, bar{f.Target, m.text(m.value(f)), f.Color, 100 * m.value(f) / most})
		}
		g.Bars = append(g.Bars, b)
	}
}

// shortBytes fit beside a plot on a phone.
func shortBytes(v float64) string {
	switch {
	case v < 1e6:
		return fmt.Sprintf("%.0f kB", v/1e3)
	case v < 1e9:
		return fmt.Sprintf("%.0f MB", v/1e6)
	}
	return fmt.Sprintf("%.1f GB", v/1e9)
}

type line struct {
	color  string
	points []point
}

// The plot's inner size, in units of its view box, which scales with the page.
const (
	plotLeft, plotTop     = 82, 12
	plotWidth, plotHeight = 520, 220
)

// plot draws lines: percentiles over a logarithmic scale of times, or what happened in each second from 0
// on, with marks where faults began.
func plot(lines []line, text func(float64) string, percentiles bool, faults []float64) template.HTML {
	var all []point
	for _, l := range lines {
		all = append(all, l.points...)
	}
	if len(all) < 2 || slices.IndexFunc(all, func(p point) bool { return p.y > 0 }) < 0 {
		return ""
	}
	maxX := slices.MaxFunc(all, func(a, b point) int { return cmp.Compare(a.x, b.x) }).x
	maxY := slices.MaxFunc(all, func(a, b point) int { return cmp.Compare(a.y, b.y) }).y
	minY := slices.MinFunc(all, func(a, b point) int { return cmp.Compare(a.y, b.y) }).y
	scaleY := func(y float64) float64 { return plotTop + plotHeight*(1-y/(maxY*1.05)) }
	if percentiles {
		low, high := math.Floor(math.Log10(max(1, minY))), math.Ceil(math.Log10(max(10, maxY)))
		if high == low {
			high++
		}
		scaleY = func(y float64) float64 {
			return plotTop + plotHeight*(1-(math.Log10(max(1, y))-low)/(high-low))
		}
	}
	scaleX := func(x float64) float64 { return plotLeft + plotWidth*x/max(maxX, 1e-9) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img"><g class="grid">`, plotLeft+plotWidth+18, plotTop+plotHeight+34)
	horizontal := func(y float64, label string) {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			plotLeft, plotLeft+plotWidth, scaleY(y), scaleY(y), plotLeft-5, scaleY(y)+4, label)
	}
	vertical := func(x float64, label string, thin bool) { // thin: left out on a phone, where labels are larger
		class := ""
		if thin {
			class = ` class="thin"`
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text%s x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			scaleX(x), scaleX(x), plotTop, plotTop+plotHeight, class, scaleX(x), plotTop+plotHeight+22, label)
	}
	if percentiles {
		for e := math.Floor(math.Log10(max(1, minY))); e <= math.Ceil(math.Log10(max(10, maxY))); e++ {
			horizontal(math.Pow(10, e), text(math.Pow(10, e)))
		}
		for i, label := range []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"} {
			if float64(i) <= maxX {
				vertical(float64(i), label, i%2 == 1)
			}
		}
	} else {
		horizontal(0, "0")
		for i := 1; i < 5; i++ {
			horizontal(maxY*float64(i)/4, text(maxY*float64(i)/4))
		}
		step := math.Ceil((maxX + 1) / 8)
		for x := 0.0; x <= maxX; x += step {
			vertical(x, fmt.Sprintf("%.0f s", x), int(x/step)%2 == 1)
		}
	}
	for _, at := range faults {
		if at <= maxX {
			fmt.Fprintf(&b, `<line class="fault" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, scaleX(at), scaleX(at), plotTop, plotTop+plotHeight)
		}
	}
	b.WriteString(`</g>`)
	for _, l := range lines {
		if len(l.points) == 0 {
			continue
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, l.color)
		for _, p := range l.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", scaleX(p.x), scaleY(p.y))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers and labels of our own only
}
