package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/bench"
)

// serveEmpty reads each request's body and answers with the same bytes.
func serveEmpty(file string) {
	answer, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Write(answer)
	}))
}

// A process is a server under measurement.
type process struct {
	name string
	url  string
	pid  int       // 0 if it is not on this machine
	cmd  *exec.Cmd // nil if it was there before
}

// start runs the command and waits for the line that names its endpoint.
func start(name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if i := strings.Index(lines.Text(), "http://"); i >= 0 {
			go io.Copy(io.Discard, out)
			return &process{name: "stator", url: strings.Fields(lines.Text()[i:])[0], pid: cmd.Process.Pid, cmd: cmd}, nil
		}
	}
	cmd.Wait()
	return nil, fmt.Errorf("%s %v printed no endpoint", name, args)
}

func startStator(stator string, args ...string) (*process, error) {
	return start(stator, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
}

func (p *process) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

func (p *process) addr() string { return strings.TrimPrefix(p.url, "http://") }

// cpu returns the user and system time the process has used; 0 if it has gone.
func (p *process) cpu() time.Duration {
	u, err := bench.UsageOf(p.pid)
	if err != nil {
		return 0
	}
	return u.CPU
}

func (p *process) rssMiB() float64 {
	u, err := bench.UsageOf(p.pid)
	if err != nil {
		return 0
	}
	return u.ResidentBytes / (1 << 20)
}

// listenerOf returns the process that listens on the port of addr, 0 if none
// of this machine does.
func listenerOf(addr string) int {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return bench.ListenerOf(port)
}
