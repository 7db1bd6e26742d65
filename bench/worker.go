package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A worker answers for one engine, one request at a time.
type worker interface {
	do(request) (Sample, error)
	end() error
}

// A request is one line of JSON on a worker's standard input; a reply is one on its
// standard output.
type request struct {
	Op       op     `json:"op"`
	Workload string `json:"workload,omitempty"`
	Data     Data   `json:"data,omitempty"`
	Round    int    `json:"round,omitempty"`
}

type op string

const (
	opRun     op = "run"     // do a workload
	opPrepare op = "prepare" // load a data set and close the database
	opDrop    op = "drop"    // remove a data set
)

type reply struct {
	Sample Sample `json:"sample"`
	Err    string `json:"err,omitempty"`
}

// greeting is the first line that a worker gets.
type greeting struct {
	Config Config `json:"config"`
	Dir    string `json:"dir"`
}

func (r *runner) answer(q request) (Sample, error) {
	switch q.Op {
	case opRun:
		if w := workload(q.Workload); w != nil {
			return r.do(w, q.Round)
		}
	case opPrepare:
		return Sample{}, errors.Join(r.prepare(q.Data), r.release())
	case opDrop:
		return Sample{}, r.drop(q.Data)
	}
	return Sample{}, fmt.Errorf("unknown request %+v", q)
}

// serve answers requests until the input ends.
func serve(o Opener, in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var g greeting
	if err := requests.Decode(&g); err != nil {
		return fmt.Errorf("worker %s: %w", o.Name, err)
	}
	r := newRunner(g.Config, o, g.Dir)
	for {
		var q request
		if err := requests.Decode(&q); errors.Is(err, io.EOF) {
			return r.release()
		} else if err != nil {
			return fmt.Errorf("worker %s: %w", o.Name, err)
		}
		s, err := r.answer(q)
		a := reply{Sample: s}
		if err != nil {
			a.Err = err.Error()
		}
		if err := replies.Encode(a); err != nil {
			return fmt.Errorf("worker %s: %w", o.Name, err)
		}
	}
}

// inProcess is a worker for tests, and what serve is made of.
type inProcess struct{ *runner }

func (w inProcess) do(q request) (Sample, error) { return w.answer(q) }
func (w inProcess) end() error                   { return w.release() }

// A process is a worker in a process of its own, stopped while it has nothing to do.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	stopped bool
}

// startWorker starts the command, which must end up in serve. It is killed when ctx
// ends.
func startWorker(ctx context.Context, command []string, c Config, dir string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr = os.Stderr
	EndWithParent(p.cmd)
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = in, json.NewDecoder(bufio.NewReader(out))
	return p, json.NewEncoder(in).Encode(greeting{c, dir})
}

func (p *process) do(q request) (Sample, error) {
	if err := p.wake(); err != nil {
		return Sample{}, err
	}
	var a reply
	err := json.NewEncoder(p.in).Encode(q)
	if err == nil {
		err = p.out.Decode(&a)
	}
	if err != nil {
		return Sample{}, fmt.Errorf("its process has ended: %w", err)
	}
	if p.stopped = true; a.Err != "" {
		err = errors.New(a.Err)
	}
	return a.Sample, errors.Join(err, Pause(p.cmd))
}

func (p *process) wake() error {
	if !p.stopped {
		return nil
	}
	p.stopped = false
	return Resume(p.cmd)
}

// end lets the process close its database and waits for it.
func (p *process) end() error {
	return errors.Join(p.wake(), p.in.Close(), p.cmd.Wait())
}
