// Command agree compares what "stator bench run" says of a server with what other harnesses say, in turns on the same server.
//
//	go run ./bench/agree [-rounds 12] [-for 1s] [-rate 1000] [-program FILE] [-cc cc]
//
// Loads of a few connections, and those with a rate, are compared with a program in C (testdata/harness.c): a thread for each connection, system calls that block. A load of
// many connections is compared with goroutines and the runtime's sockets, since the kernel serves many busy threads so unevenly
// that their percentiles say more of it than of the server; so are all loads where there is no compiler. Neither of both shares anything with package drive:
// requests are made beforehand, the clock is the system's, and percentiles are places in a sorted list.
//
// It prints the medians of the ratios of neighbouring measurements, with an interval of 95 %: 1.00 is agreement. A busy machine makes the intervals wide, and
// no ratio wrong.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/perf/benchmath"

	"github.com/statordb/stator/bench/program"
	"github.com/statordb/stator/bench/result"
)

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 12, "pairs of measurements of each load")
	flag.DurationVar(&o.length, "for", time.Second, "length of a measurement")
	flag.Float64Var(&o.rate, "rate", 1000, "requests per second of the loads with a constant rate")
	flag.StringVar(&o.program, "program", "", "a stator that is built already; default this tree's")
	flag.StringVar(&o.cc, "cc", "cc", "a compiler for C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	rounds  int
	length  time.Duration
	rate    float64
	program string
	cc      string
}

// A load is what both harnesses do.
type load struct {
	name        string
	put         bool
	connections int
	rate        float64 // 0: a closed loop
}

// measured is what one of them found, times in nanoseconds.
type measured struct{ rate, p50, p90, p99 float64 }

// A harness makes a load and measures it.
type harness interface {
	name() string
	measure(ctx context.Context, l load, length time.Duration) (measured, error)
}

const (
	keys      = 10_000
	valueSize = 100
)

func (o *options) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "stator-agree-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.program, err = program.Build(ctx, dir, o.program); err != nil {
		return err
	}
	addr, end, err := serve(ctx, o.program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	r, err := newRequests(addr)
	if err != nil {
		return err
	}
	byGoroutines := &goroutines{r}
	var byThreads harness
	if byThreads, err = compile(ctx, o.cc, dir, r); errors.Is(err, exec.ErrNotFound) {
		byThreads, err = byGoroutines, nil
		fmt.Fprintf(os.Stderr, "agree: without a compiler for C all loads are compared with goroutines\n")
	}
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "load\tbench run: rate, p50, p99\tthe other one\t\tratio of rates\tof p50\tof p90\tof p99\t")
	for _, l := range []struct {
		load
		other harness
	}{
		{load{"one connection", false, 1, 0}, byThreads},
		{load{"four connections", false, 4, 0}, byThreads},
		{load{"sixteen connections", false, 16, 0}, byGoroutines},
		{load{"gets at a rate", false, 4, o.rate}, byThreads},
		{load{"gets at five times the rate", false, 16, 5 * o.rate}, byThreads},
		{load{"puts at a rate", true, 4, o.rate}, byThreads},
	} {
		ours, theirs, err := o.turns(ctx, l.load, addr, l.other, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s", l.name, median(ours), median(theirs), l.other.name())
		for _, of := range []func(measured) float64{func(m measured) float64 { return m.rate }, func(m measured) float64 { return m.p50 }, func(m measured) float64 { return m.p90 }, func(m measured) float64 { return m.p99 }} {
			var ratios []float64
			for i := range ours {
				ratios = append(ratios, of(ours[i])/of(theirs[i]))
			}
			s := benchmath.AssumeNothing.Summary(benchmath.NewSample(ratios, &benchmath.DefaultThresholds), 0.95)
			fmt.Fprintf(t, "\t%.2f (%.2f–%.2f)", s.Center, s.Lo, s.Hi)
		}
		fmt.Fprintln(t, "\t")
	}
	return t.Flush()
}

// turns measures a load with both, each first in every other round.
func (o *options) turns(ctx context.Context, l load, addr string, h harness, dir string) (ours, theirs []measured, err error) {
	for round := range o.rounds {
		for i := range 2 {
			var m measured
			if i == round%2 {
				m, err = o.benchRun(ctx, l, addr, dir)
				ours = append(ours, m)
			} else {
				m, err = h.measure(ctx, l, o.length)
				theirs = append(theirs, m)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", l.name, err)
			}
		}
	}
	return ours, theirs, nil
}

// benchRun has the program measure.
func (o *options) benchRun(ctx context.Context, l load, addr, dir string) (measured, error) {
	kind := "get"
	if l.put {
		kind = "put"
	}
	pace := map[string]any{}
	if l.rate > 0 {
		pace = map[string]any{"rate": l.rate, "arrivals": "constant"}
	}
	text, err := json.Marshal(map[string]any{"name": "agree", "keys": map[string]any{"count": keys}, "values": map[string]any{"size": valueSize},
		"operations": map[string]any{kind: 1}, "workers": l.connections, "pace": pace, "warmup": warmup.String(), "length": o.length.String()})
	if err != nil {
		return measured{}, err
	}
	file, out := filepath.Join(dir, "workload.json"), filepath.Join(dir, "result.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return measured{}, err
	}
	f, err := program.Run(ctx, o.program, out, file, "--target=http://"+addr, "--rounds=1")
	if err != nil {
		return measured{}, err
	}
	s := f.Figures[0].Samples[0]
	return measured{s.Rate, float64(s.Latency.P50), float64(s.Latency.P90), float64(s.Latency.P99)}, nil
}

// median is that of each figure.
func median(all []measured) string {
	of := func(value func(measured) float64) float64 {
		var v []float64
		for _, m := range all {
			v = append(v, value(m))
		}
		return benchmath.AssumeNothing.Summary(benchmath.NewSample(v, &benchmath.DefaultThresholds), 0.5).Center
	}
	return fmt.Sprintf("%s/s, %s, %s", result.Count(of(func(m measured) float64 { return m.rate })), result.Span(of(func(m measured) float64 { return m.p50 })), result.Span(of(func(m measured) float64 { return m.p99 })))
}

// serve starts a server that keeps nothing.
func serve(ctx context.Context, program string) (addr string, end func() error, err error) {
	cmd := exec.CommandContext(ctx, program, "serve", "--memory", "--shared", "--addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() error {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait() // it ends by the signal
		return nil
	}
	said := ""
	for b := make([]byte, 512); !strings.Contains(said, "\n"); {
		n, err := out.Read(b)
		if said += string(b[:n]); err != nil {
			return "", nil, errors.Join(fmt.Errorf("stator serve said only %q: %w", said, err), end())
		}
	}
	go func() { // so that it can go on to write
		for b := make([]byte, 512); ; {
			if _, err := out.Read(b); err != nil {
				return
			}
		}
	}()
	_, rest, ok := strings.Cut(said, "http://")
	if !ok {
		return "", nil, errors.Join(fmt.Errorf("stator serve said %q, which has no address", said), end())
	}
	return strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == '/' || r == '\n' || r == ',' })[0], end, nil
}
