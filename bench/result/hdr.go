package result

import (
	"fmt"
	"io"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HLog writes an HdrHistogram log (V2): the latency of each sample, in nanoseconds, tagged
// with the name of its figure.
func HLog(w io.Writer, f *File) error {
	l := hdrhistogram.NewHistogramLogWriter(w)
	if err := l.OutputLogFormatVersion(); err != nil {
		return err
	}
	if err := l.OutputComment("[values are nanoseconds]"); err != nil {
		return err
	}
	base := f.Time.UnixMilli()
	if err := l.OutputStartTime(base); err != nil {
		return err
	}
	l.SetBaseTime(base)
	if err := l.OutputLegend(); err != nil {
		return err
	}
	options := hdrhistogram.DefaultHistogramLogOptions()
	for _, g := range f.Figures {
		for _, s := range g.Samples {
			h, err := s.Distribution()
			if err != nil {
				return fmt.Errorf("%s: %w", g.Name(), err)
			}
			end := s.At.UnixMilli()
			h.SetEndTimeMs(end)
			h.SetStartTimeMs(end - int64(s.Seconds*1000))
			h.SetTag(tag(g.Name()))
			if err := l.OutputIntervalHistogramWithLogOptions(h, options); err != nil {
				return err
			}
		}
	}
	return nil
}

// tag is what a log takes as one: no blanks, commas or ends of lines.
func tag(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c <= ' ' || c == ',' {
			b[i] = '_'
		}
	}
	return string(b)
}

// HGRM writes the percentiles of one figure, all samples together, in microseconds, as plotters of
// HdrHistogram read it.
func HGRM(w io.Writer, g *Figure) error {
	h, err := g.Distribution()
	if err != nil {
		return err
	}
	_, err = h.PercentilesPrint(w, 5, 1000)
	return err
}
