package result

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Text writes a table for a terminal.
func Text(w io.Writer, f *File) error {
	fmt.Fprintf(w, "%s\n\n", f.Environment.line())
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "workload\ttarget\trate/s\tanother run\tp50\tp99\tp99.9\tmax\tCPU/op\tallocs\twrite amp\tnotes\t")
	for _, g := range f.Figures {
		if len(g.Samples) == 0 {
			fmt.Fprintf(t, "%s\t%s\tno figure\t\t\t\t\t\t\t\t\t%.200s\t\n", g.Workload.Name, g.Target, strings.ReplaceAll(g.Failed, "\n", "; "))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", g.Workload.Name, g.Target,
			Count(g.median("rate")), g.another("rate"), Span(g.median("p50")), Span(g.median("p99")), Span(g.median("p999")), Span(g.median("max")),
			Span(g.median("cpu")), number(g.median("allocs")), number(g.median("writeamp")), strings.Join(g.notes(), "; "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n", aboutAnother)
	for _, g := range f.Figures {
		if err := g.phasesText(w); err != nil {
			return err
		}
	}
	return nil
}

// phasesText writes what each round of a run with faults was like between them.
func (g *Figure) phasesText(w io.Writer) error {
	if len(g.Samples) == 0 || len(g.Samples[0].Phases) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s on %s\nround\tphase\tfrom\tto\trate/s\terrors\tsilence\tp50\tp99\tp99.9\tmax\t\n", g.Workload.Name, g.Target)
	for _, s := range g.Samples {
		for _, p := range s.Phases {
			fmt.Fprintf(t, "%d\t%s\t%.2f s\t%.2f s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t\n", s.Round+1, p.Name, p.From, p.To, Count(p.Rate), p.Errors, Span(1e9*p.Silence),
				Span(float64(p.Latency.P50)), Span(float64(p.Latency.P99)), Span(float64(p.Latency.P999)), Span(float64(p.Latency.Max)))
		}
	}
	return t.Flush()
}

// faultNotes sum up the faults of all rounds: medians, in the order of the faults.
func (f *Figure) faultNotes() (notes []string) {
	for i, first := range f.Samples[0].Faults {
		var silence, recovered []float64
		never := 0
		for _, s := range f.Samples {
			if i >= len(s.Faults) {
				continue
			}
			silence = append(silence, s.Faults[i].Silence)
			if r := s.Faults[i].Recovered; r < 0 {
				never++
			} else {
				recovered = append(recovered, r)
			}
		}
		text := fmt.Sprintf("%s at %.0f s: silence %s", first.Do, first.At, Span(1e9*middle(silence)))
		switch {
		case len(recovered) == 0:
			text += ", no recovery"
		case never > 0:
			text += fmt.Sprintf(", recovered in %d of %d rounds", len(recovered), len(recovered)+never)
		case middle(recovered) == 0:
			text += ", no slower"
		default:
			text += ", recovered after " + Span(1e9*middle(recovered))
		}
		notes = append(notes, text)
	}
	return notes
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func (e *Environment) line() string {
	l := e.Limits
	text := fmt.Sprintf("%s, %d CPUs (%s), %s %s, %s", e.Go, e.CPUs, cmp.Or(e.Processor, e.Arch), e.OS, e.Kernel, cmp.Or(e.FileSystem, "unknown file system"))
	if e.Load != "" {
		text += ", load " + e.Load
	}
	if l.SyncP50 > 0 {
		text += fmt.Sprintf("\nthis machine: fdatasync %s (p99 %s), dependent memory read %s, memcpy %.1f GB/s, empty HTTP handler %s, clock %s",
			Span(l.SyncP50), Span(l.SyncP99), Span(l.Memory), l.Copy/1e9, Span(l.HTTP), Span(l.Clock))
	}
	return text
}

// another is where another run's median lies.
func (f *Figure) another(metric string) string {
	m, err := MetricOf(metric)
	if err != nil {
		return ""
	}
	return m.Another(f).Text()
}

// aboutAnother explains the column.
const aboutAnother = "another run: where the rate of another run with as many rounds lies in 95 of 100 cases, while the machine is as busy. The JSON has it of every metric."

func number(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3g", v)
}

// notes are what one must know to judge the figure.
func (f *Figure) notes() []string {
	var notes []string
	var errs, unsent, drifting, unsettled, late int
	first := ""
	var ops, met int64
	for _, s := range f.Samples {
		ops, met = ops+s.Ops-s.Errors-s.Unsent, met+s.Conflicts
		errs, unsent = errs+int(s.Errors), unsent+int(s.Unsent)
		first = cmp.Or(first, s.FirstError)
		if !s.Steady {
			drifting++
		}
		if !s.Settled {
			unsettled++
		}
		if s.Late.Count > 0 && s.Late.P99 > s.Latency.P99/10 && s.Late.P99 > int64(100*time.Microsecond) {
			late++
		}
	}
	add := func(n int, text string, args ...any) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf(text, args...))
		}
	}
	add(errs, "%d errors (%.120s)", errs, first)
	add(unsent, "%d operations were due and not sent: the rate is too high", unsent)
	if met > 0 {
		notes = append(notes, fmt.Sprintf("%.1f %% were done; the others met these, and were refused", 100*float64(ops)/float64(ops+met)))
	}
	add(unsettled, "no steady state before %d of %d rounds", unsettled, len(f.Samples))
	add(drifting, "the rate drifts in %d of %d rounds", drifting, len(f.Samples))
	add(late, "the harness was late itself in %d of %d rounds (p99 above a tenth of the latency's)", late, len(f.Samples))
	if speed := f.median("simspeed"); speed > 0 {
		notes = append(notes, fmt.Sprintf("%s simulated seconds per CPU second, %s seeds per minute", number(speed), number(60*f.median("rate"))))
	}
	if len(f.Samples) > 0 {
		notes = append(notes, f.faultNotes()...)
	}
	if p := f.Workload.Pace.Peak; p != nil {
		found := 0
		for _, s := range f.Samples {
			if n := len(s.Trials); n > 0 && s.Trials[n-1].Kept {
				found++
			}
		}
		bound := fmt.Sprintf("p%g below %v", p.Percentile, time.Duration(p.Below))
		switch {
		case found == len(f.Samples) && p.Share > 0 && p.Share < 1:
			notes = append(notes, fmt.Sprintf("at %g of the highest rate with %s", p.Share, bound))
		case found == len(f.Samples):
			notes = append(notes, "highest rate with "+bound)
		case found == 0:
			notes = append(notes, "no rate was found with "+bound+": this is the last one tried")
		default:
			notes = append(notes, fmt.Sprintf("highest rate with %s, found in %d of %d rounds", bound, found, len(f.Samples)))
		}
	}
	return notes
}
