// Command edge measures what one request costs the server in CPU, beside an
// empty net/http handler that returns the same bytes.
//
//	go run ./bench/edge [-n 40000] [-c 16]
//
// Server and client are separate processes, so that the CPU of the server
// alone is counted (user and system time from /proc, therefore Linux only).
// It also prints the time from start to first answer, the resident memory of
// an idle server and the time to restart on data of a killed one.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	n := flag.Int("n", 40_000, "requests per measurement")
	c := flag.Int("c", 16, "connections")
	rounds := flag.Int("rounds", 5, "rounds; medians are printed")
	restart := flag.Int("restart-mb", 64, "data for the restart figure in MiB; 0 leaves it out")
	empty := flag.String("empty-handler", "", "internal: serve this file for every request")
	flag.Parse()
	if *empty != "" {
		serveEmpty(*empty)
		return
	}
	if err := run(*n, *c, *rounds, *restart); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

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
	cmd *exec.Cmd
	url string
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
			return &process{cmd, strings.Fields(lines.Text()[i:])[0]}, nil
		}
	}
	cmd.Wait()
	return nil, fmt.Errorf("%s %v printed no endpoint", name, args)
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// cpu returns the user and system time the process has used.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

func (p *process) rssMiB() float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}

// call sends one request and returns the answer's body.
func call(url, op string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+op)
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%s: %d %s", op, res.StatusCode, b)
	}
	return b, err
}

const createTable = `{"TableName":"bench","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],` +
	`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`

// item is about 1 KB in ten attributes.
func item(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"pk":{"S":"key%09d"},"n":{"N":"%d"}`, i, i)
	for a := range 8 {
		fmt.Fprintf(&b, `,"attr%d":{"S":"%s"}`, a, strings.Repeat(string(rune('a'+a)), 112))
	}
	return b.String() + "}"
}

// hammer sends n requests over c connections and returns the CPU that the
// server spent on each and the requests per second.
func (p *process) hammer(n, c int, op string, body func(i int) []byte) (perOp time.Duration, rate float64, err error) {
	before, began := p.cpu(), time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	var first atomic.Pointer[error]
	for range c {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && first.Load() == nil; i = next.Add(1) {
				if _, err := call(p.url, op, body(int(i))); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if e := first.Load(); e != nil {
		return 0, 0, *e
	}
	return (p.cpu() - before) / time.Duration(n), float64(n) / time.Since(began).Seconds(), nil
}

func run(n, c, rounds, restartMB int) error {
	dir, err := os.MkdirTemp("", "stator-edge")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stator := filepath.Join(dir, "stator")
	if out, err := exec.Command("go", "build", "-o", stator, "github.com/statordb/stator/cmd/stator").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if err := startFigures(stator, dir); err != nil {
		return err
	}
	get := []byte(`{"TableName":"bench","Key":{"pk":{"S":"key000000001"}}}`)
	put := func(i int) []byte { return []byte(`{"TableName":"bench","Item":` + item(i%10_000) + `}`) }
	for _, mode := range []struct {
		name, op string
		body     func(int) []byte
		args     []string
	}{
		{"GetItem, in memory", "GetItem", func(int) []byte { return get }, []string{"--memory"}},
		{"PutItem, in memory", "PutItem", put, []string{"--memory"}},
		{"PutItem, durable", "PutItem", put, []string{"--dir", filepath.Join(dir, "data")}},
	} {
		if err := compare(stator, dir, mode.name, mode.op, mode.body, mode.args, n, c, rounds); err != nil {
			return err
		}
	}
	if restartMB > 0 {
		return restartFigure(stator, dir, restartMB)
	}
	return nil
}

// compare alternates between Stator and the empty handler and prints medians.
func compare(stator, dir, name, op string, body func(int) []byte, args []string, n, c, rounds int) error {
	s, err := start(stator, append([]string{"serve", "--addr", "127.0.0.1:0", "--table-delay", "0s"}, args...)...)
	if err != nil {
		return err
	}
	defer s.kill()
	if _, err := call(s.url, "CreateTable", []byte(createTable)); err != nil {
		return err
	}
	if _, err := call(s.url, "PutItem", []byte(`{"TableName":"bench","Item":`+item(1)+`}`)); err != nil {
		return err
	}
	answer, err := call(s.url, op, body(1))
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "answer")
	if err := os.WriteFile(file, answer, 0o644); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	e, err := start(self, "-empty-handler", file)
	if err != nil {
		return err
	}
	defer e.kill()
	var cpuS, cpuE, rateS, rateE, ratios []float64
	for i := range rounds + 1 {
		ps, rs, err := s.hammer(n, c, op, body)
		if err != nil {
			return err
		}
		pe, re, err := e.hammer(n, c, op, body)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // warm-up
		}
		cpuS, cpuE = append(cpuS, ps.Seconds()*1e6), append(cpuE, pe.Seconds()*1e6)
		rateS, rateE = append(rateS, rs), append(rateE, re)
		ratios = append(ratios, ps.Seconds()/pe.Seconds())
	}
	fmt.Printf("%-20s %d connections: CPU per request %.1f µs, empty handler %.1f µs, ratio %.2f (%.2f–%.2f); %.0f/s against %.0f/s\n",
		name, c, median(cpuS), median(cpuE), median(ratios), ratios[0], ratios[len(ratios)-1], median(rateS), median(rateE))
	return nil
}

func median(v []float64) float64 {
	sort.Float64s(v)
	return v[len(v)/2]
}

// startFigures prints the time to the first answer and idle memory.
func startFigures(stator, dir string) error {
	var ms []float64
	var rss float64
	for i := range 7 {
		began := time.Now()
		p, err := start(stator, "serve", "--addr", "127.0.0.1:0", "--dir", filepath.Join(dir, fmt.Sprint("start", i)))
		if err != nil {
			return err
		}
		if _, err := call(p.url, "ListTables", []byte("{}")); err != nil {
			return err
		}
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
		time.Sleep(300 * time.Millisecond)
		rss = p.rssMiB()
		p.kill()
	}
	fmt.Printf("start to first answer, empty directory: %.1f ms (median of %d); idle RSS %.1f MiB\n", median(ms), len(ms), rss)
	return nil
}

// restartFigure fills a database, kills it and prints the time until the next
// process answers a read of the last item.
func restartFigure(stator, dir string, mb int) error {
	data := filepath.Join(dir, "restart")
	p, err := start(stator, "serve", "--addr", "127.0.0.1:0", "--table-delay", "0s", "--dir", data, "--sync", "never")
	if err != nil {
		return err
	}
	if _, err := call(p.url, "CreateTable", []byte(createTable)); err != nil {
		return err
	}
	batches := mb * 1024 / 25
	_, _, err = p.hammer(batches, 16, "BatchWriteItem", func(b int) []byte {
		var puts []string
		for i := range 25 {
			puts = append(puts, `{"PutRequest":{"Item":`+item(b*25+i)+`}}`)
		}
		return []byte(`{"RequestItems":{"bench":[` + strings.Join(puts, ",") + `]}}`)
	})
	p.kill()
	if err != nil {
		return err
	}
	began := time.Now()
	if p, err = start(stator, "serve", "--addr", "127.0.0.1:0", "--dir", data); err != nil {
		return err
	}
	defer p.kill()
	got, err := call(p.url, "GetItem", fmt.Appendf(nil, `{"TableName":"bench","Key":{"pk":{"S":"key%09d"}}}`, batches*25))
	if err != nil || !bytes.Contains(got, []byte("attr7")) {
		return fmt.Errorf("last item is gone after kill: %s %v", got, err)
	}
	fmt.Printf("restart after kill -9 with %d MiB of items to first read: %.0f ms\n", mb, float64(time.Since(began).Microseconds())/1000)
	return nil
}
