package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/bench/result"
)

// ownProcess reports whether rounds on the target run in a process of their own. Clusters and endpoints are other processes already.
func (m *measuring) ownProcess(name string) bool {
	_, cluster := clusterOf(name)
	return m.Self != nil && m.Rounds > 1 && !cluster && !isURL(name)
}

// inProcess runs one round in a process of its own, and says how much processor time that took.
func (m *measuring) inProcess(ctx context.Context, w *drive.Workload, name string, round int) (s *result.Sample, used time.Duration, err error) {
	dir, err := os.MkdirTemp(m.dir, "round-")
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, out := filepath.Join(dir, "workload.json"), filepath.Join(dir, "result.json")
	text, err := json.Marshal(w)
	if err != nil {
		return nil, 0, err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, 0, err
	}
	args := append(append(m.Self[1:len(m.Self):len(m.Self)], m.Args...), file, "--target="+name, "--rounds=1", "--scale=1", "--no-probe", "--allow-errors", fmt.Sprint("--round=", round),
		"--json="+out, "--dir="+dir)
	cmd := exec.CommandContext(ctx, m.Self[0], args...)
	complaint := &tail{}
	if cmd.Stderr = complaint; m.Progress != nil && m.Progress.Terminal {
		cmd.Stderr = io.MultiWriter(m.Progress.W, complaint)
		cmd.Args = append(cmd.Args, "--live")
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	before := bench.CPUTime()
	err = cmd.Run()
	if cmd.ProcessState != nil {
		used = bench.UsageAfter(cmd.ProcessState).CPU + bench.CPUTime() - before
	}
	if err != nil {
		return nil, used, fmt.Errorf("round %d: %w: %s", round+1, err, complaint.text())
	}
	f, err := result.Read(out)
	if err != nil {
		return nil, used, err
	}
	if len(f.Figures) != 1 || len(f.Figures[0].Samples) != 1 {
		return nil, used, fmt.Errorf("round %d: its result has not one figure with one sample", round+1)
	}
	s = f.Figures[0].Samples[0]
	if m.Progress != nil && !m.Progress.Terminal {
		m.Progress.sample(w, name, round, s)
	}
	return s, used, nil
}

// A tail keeps the end of what is written.
type tail struct{ b []byte }

const tailSize = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-tailSize):]
	return len(p), nil
}

// text is what a program said last of an error.
func (t *tail) text() string {
	b := t.b
	if i := bytes.LastIndex(b, []byte("error: ")); i >= 0 {
		b = b[i+len("error: "):]
	}
	return strings.TrimSpace(string(b))
}
