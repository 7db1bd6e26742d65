package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed testdata/harness.c
var source []byte

// threads are a harness: a program in C with one for each connection.
type threads struct {
	program, port string
	gets, puts    string // files of requests, as the program wants them
}

func (*threads) name() string { return "threads, in C" }

// compile makes the program in a directory. The error is exec.ErrNotFound if there is no compiler.
func compile(ctx context.Context, cc, dir string, r *requests) (*threads, error) {
	t := &threads{program: filepath.Join(dir, "harness"), gets: filepath.Join(dir, "gets"), puts: filepath.Join(dir, "puts")}
	var err error
	if _, t.port, err = net.SplitHostPort(r.addr); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "harness.c")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return nil, err
	}
	if text, err := exec.CommandContext(ctx, cc, "-O2", "-pthread", "-o", t.program, file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cc, err, text)
	}
	for name, all := range map[string][][]byte{t.gets: r.gets, t.puts: r.puts} {
		var b []byte
		for _, one := range all {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(one))), one...)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *threads) measure(ctx context.Context, l load, length time.Duration) (m measured, err error) {
	file := t.gets
	if l.put {
		file = t.puts
	}
	cmd := exec.CommandContext(ctx, t.program, t.port, file, fmt.Sprint(l.connections), fmt.Sprint(l.rate), fmt.Sprint(warmup.Seconds()), fmt.Sprint(length.Seconds()))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("the program in C: %w", err)
	}
	if _, err := fmt.Sscan(string(out), &m.rate, &m.p50, &m.p90, &m.p99); err != nil {
		return m, fmt.Errorf("the program in C said %q: %w", out, err)
	}
	return m, nil
}
