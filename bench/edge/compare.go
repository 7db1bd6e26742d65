package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// compare measures all servers with all workloads, in turns.
func compare(o options, stator, dir string) error {
	args := []string{"--memory"}
	if o.durable {
		args = []string{"--dir", filepath.Join(dir, "data")}
	}
	s, err := startStator(stator, args...)
	if err != nil {
		return err
	}
	defer s.kill()
	servers := []*process{s}
	for _, p := range o.peers {
		addr := strings.TrimPrefix(p.url, "http://")
		servers = append(servers, &process{name: p.name, url: p.url, pid: listenerOf(addr)})
	}
	for _, p := range servers {
		if err := load(p.url); err != nil {
			return err
		}
	}
	for _, w := range workloads() {
		if !o.work.MatchString(w.name) || o.durable && !w.writes {
			continue
		}
		if err := compareOn(o, w, dir, servers); err != nil {
			return err
		}
	}
	return nil
}

func compareOn(o options, w *workload, dir string, servers []*process) error {
	answer, err := call(servers[0].url, w.operation, w.bodies[0])
	if err != nil {
		return err
	}
	if o.bare {
		e, err := startEmpty(dir, answer)
		if err != nil {
			return err
		}
		defer e.kill()
		servers = append(servers[:len(servers):len(servers)], e)
	}
	allocs, bytes, err := allocations(w)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %.0f allocations of %.1f KB in all for each request, in process\n", w.name, allocs, bytes/1000)
	for _, c := range o.connections {
		samples, err := inTurns(o, w, c, servers)
		if err != nil {
			return err
		}
		print(c, servers, samples)
	}
	return nil
}

func startEmpty(dir string, answer []byte) (*process, error) {
	file := filepath.Join(dir, "answer")
	if err := os.WriteFile(file, answer, 0o644); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e, err := start(self, "-empty-handler", file)
	if err == nil {
		e.name = "empty handler"
	}
	return e, err
}

// inTurns returns the samples of each server, round by round, without those
// of the first round, which warms up.
func inTurns(o options, w *workload, c int, servers []*process) ([][]sample, error) {
	samples := make([][]sample, len(servers))
	for round := range o.rounds + 1 {
		for i, p := range servers {
			s, err := p.hammer(w, c, o.length)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples, nil
}

// print writes a line for each server. Ratios are how many times Stator is
// better: more requests, less time.
func print(c int, servers []*process, samples [][]sample) {
	ours := samples[0]
	for i, p := range servers {
		rate := medianOf(samples[i], func(s sample) float64 { return s.rate })
		fmt.Printf("  %2d connections  %-14s %7.0f/s  p50 %8.2f ms  p99 %8.2f ms", c, p.name, rate,
			1e3*medianOf(samples[i], func(s sample) float64 { return s.p50 }), 1e3*medianOf(samples[i], func(s sample) float64 { return s.p99 }))
		if p.pid != 0 {
			fmt.Printf("  CPU %7.1f µs", 1e6*medianOf(samples[i], func(s sample) float64 { return s.cpu }))
		}
		if i > 0 {
			fmt.Printf("  Stator: %s the rate, p50 ÷ %s, p99 ÷ %s",
				ratios(ours, samples[i], func(a, b sample) float64 { return a.rate / b.rate }),
				ratios(ours, samples[i], func(a, b sample) float64 { return b.p50 / a.p50 }),
				ratios(ours, samples[i], func(a, b sample) float64 { return b.p99 / a.p99 }))
			if p.pid != 0 {
				fmt.Printf(", CPU × %s", ratios(ours, samples[i], func(a, b sample) float64 { return a.cpu / b.cpu }))
			}
		}
		fmt.Println()
	}
}

// ratios returns the median of the rounds, and the least and the greatest.
func ratios(ours, theirs []sample, of func(a, b sample) float64) string {
	var all []float64
	for i := range ours {
		all = append(all, of(ours[i], theirs[i]))
	}
	m := median(all) // sorts
	return fmt.Sprintf("%.2f (%.2f–%.2f)", m, all[0], all[len(all)-1])
}

func medianOf(samples []sample, of func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, of(s))
	}
	return median(all)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
