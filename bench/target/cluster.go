package target

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
	"github.com/statordb/stator/server"
)

// A Cluster is some processes of stator on this machine, each in a zone of its own. They are started for the measurement, and
// faults of the workload hit them.
type Cluster struct {
	*Dynamo
	program string
	dir     string
	nodes   []*node
}

// MaxNodes is how many nodes a cluster may have here.
const MaxNodes = 9

// A ClusterShape says which cluster is started.
type ClusterShape struct {
	Nodes     int           // 1 is a server alone
	ZoneDelay time.Duration // of what one zone sends to another; 0 is none
}

// Check refuses shapes that cannot be started.
func (s ClusterShape) Check() error {
	switch {
	case s.Nodes < 1 || s.Nodes > MaxNodes:
		return fmt.Errorf("a cluster of %d nodes: from 1 to %d", s.Nodes, MaxNodes)
	case s.ZoneDelay < 0 || s.ZoneDelay > server.MaxZoneDelay:
		return fmt.Errorf("zones %s apart: up to %s", s.ZoneDelay, server.MaxZoneDelay)
	case s.ZoneDelay > 0 && s.Nodes == 1:
		return errors.New("one node has no other zone")
	}
	return nil
}

// A node is one process, and those that it has been before.
type node struct {
	zone string
	args []string
	addr string // for clients: the same in all its lives

	// mu guards what is below it: faults come while the usage is asked for.
	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}      // closed once the process has ended
	up    bool               // it has not
	gone  bench.ProcessUsage // of lives before
}

// OpenCluster starts nodes with the program "stator", and loads the workload's table. dir is
// made, and belongs to the caller afterwards.
func OpenCluster(ctx context.Context, program string, shape ClusterShape, dir string, w *drive.Workload) (c *Cluster, err error) {
	if err := shape.Check(); err != nil {
		return nil, err
	}
	nodes := shape.Nodes
	for _, f := range w.Faults {
		if len(f.Node) == 1 && (f.Node[0] < 'a' || int(f.Node[0]-'a') >= nodes) {
			return nil, fmt.Errorf("faults: there is no zone %s among %d nodes", f.Node, nodes)
		}
	}
	c = &Cluster{program: program, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.end())
		}
	}()
	if err := c.start(ctx, shape, w.Durable); err != nil {
		return nil, err
	}
	var urls []endpoint
	for _, n := range c.nodes {
		urls = append(urls, endpoint{host: n.addr, addr: n.addr})
	}
	c.Dynamo = newDynamo(w, func(worker int) wire {
		return &socket{endpoints: urls, at: worker % nodes, timeout: time.Duration(w.Timeout), signer: newSigner(Credentials{}, urls[0].host)}
	})
	c.distant = true
	return c, c.prepare(ctx)
}

func (c *Cluster) start(ctx context.Context, shape ClusterShape, durable bool) error {
	nodes := shape.Nodes
	ports, err := freePorts(2 * nodes)
	if err != nil {
		return err
	}
	mode := "never"
	if durable {
		mode = "always"
	}
	for i := range nodes {
		n := &node{zone: string(rune('a' + i)), addr: ports[i]}
		n.args = []string{"serve", "--admin", "--sync", mode, "--dir", filepath.Join(c.dir, n.zone), "--addr", n.addr}
		if nodes > 1 {
			n.args = append(n.args, "--az", n.zone, "--cluster-addr", ports[nodes+i], "--join", strings.Join(ports[nodes:], ","))
		}
		if shape.ZoneDelay > 0 {
			n.args = append(n.args, "--zone-delay", shape.ZoneDelay.String())
		}
		c.nodes = append(c.nodes, n)
	}
	var all sync.WaitGroup
	errs := make([]error, nodes)
	for i, n := range c.nodes { // together: they found the cluster once all are up
		all.Go(func() { errs[i] = n.start(ctx, c.program) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// freePorts returns addresses on the loopback interface that are free, and differ.
func freePorts(n int) (addrs []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all have been found
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// startTimeout is how long a node may take until it answers. It waits for the others when a cluster is founded.
const startTimeout = time.Minute

// start starts the process and waits until it says where it answers.
func (n *node) start(ctx context.Context, program string) error {
	cmd := exec.Command(program, n.args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	complaint := &tail{}
	cmd.Stderr = complaint
	bench.EndWithParent(cmd)
	began, first := make(chan error, 1), make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // the process ends with the thread that started it, so that one stays
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			n.mu.Lock()
			n.cmd, n.ended, n.up = cmd, ended, true
			n.mu.Unlock()
			go readFirst(out, first)
		}
		if began <- err; err == nil {
			cmd.Wait() // what became of it does not matter: whoever waits for it says more
			n.mu.Lock()
			n.gone.Add(bench.UsageAfter(cmd.ProcessState))
			n.up = false
			n.mu.Unlock()
		}
		close(ended)
	}()
	if err := <-began; err != nil {
		return err
	}
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	select {
	case line := <-first:
		if strings.Contains(line, n.addr) {
			return nil
		}
		err = fmt.Errorf("it says %q", line)
	case <-late.C:
		err = errors.New("it does not answer")
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.kill()
	return fmt.Errorf("start the node in zone %s: %w %s", n.zone, err, complaint)
}

// readFirst reads the first line and then lets the process write what it likes.
func readFirst(out io.Reader, first chan<- string) {
	r := bufio.NewReader(out)
	line, _ := r.ReadString('\n') // "" if the process ended
	first <- strings.TrimSpace(line)
	io.Copy(io.Discard, r)
}

// A tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

// process is the one that runs, or ran last.
func (n *node) process() (cmd *exec.Cmd, ended chan struct{}, up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd, n.ended, n.up
}

// kill ends the process at once, also one that hangs.
func (n *node) kill() {
	if cmd, ended, up := n.process(); up {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	}
}

// stop ends the process gently.
func (n *node) stop(ctx context.Context) error {
	cmd, ended, _ := n.process()
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// usage is that of all its lives.
func (n *node) usage() bench.ProcessUsage {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.gone
	if n.up {
		if now, err := bench.UsageOf(n.cmd.Process.Pid); err == nil {
			u.Add(now)
		}
	}
	return u
}

// Break implements drive.Breakable.
func (c *Cluster) Break(ctx context.Context, f drive.Fault) (string, error) {
	n, err := c.find(ctx, f.Node)
	if err != nil {
		return "", err
	}
	cmd, _, up := n.process()
	if up == (f.Do == drive.Start) {
		return "", fmt.Errorf("zone %s: the node is up: %v", n.zone, up)
	}
	switch f.Do {
	case drive.Start:
		err = n.start(ctx, c.program)
	case drive.Hang:
		err = bench.Pause(cmd)
	case drive.Resume:
		err = bench.Resume(cmd)
	case drive.Stop:
		err = n.stop(ctx)
	default:
		n.kill()
	}
	return n.zone, err
}

// find returns the node of that name.
func (c *Cluster) find(ctx context.Context, name string) (*node, error) {
	if name == drive.Leader {
		zone, err := c.leader(ctx)
		if err != nil {
			return nil, fmt.Errorf("who leads: %w", err)
		}
		name = zone
	}
	i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.zone == name })
	if i < 0 {
		return nil, fmt.Errorf("no zone %q", name)
	}
	return c.nodes[i], nil
}

// leader is the zone of the node that leads most partitions of the table: each node says which it leads itself.
func (c *Cluster) leader(ctx context.Context) (zone string, err error) {
	most := -1
	for _, n := range c.nodes {
		if _, _, up := n.process(); !up {
			continue
		}
		st, e := askGroups(ctx, n.addr)
		if e != nil {
			err = e
			continue
		}
		led := 0
		for _, g := range st.Groups {
			if g.Table == c.table && g.Index == "" && g.Here && g.Status.Leader == st.Node {
				led++
			}
		}
		if led > most {
			zone, most = n.zone, led
		}
	}
	if most < 0 {
		return "", errors.Join(err, errors.New("no node answers"))
	}
	return zone, nil
}

// askGroups asks a node for its groups, as operators do.
func askGroups(ctx context.Context, addr string) (*server.AdminStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/_stator/admin/Groups", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Stator-Admin", "1")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	st := &server.AdminStatus{}
	if err := json.NewDecoder(answer.Body).Decode(st); err != nil || answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("node at %s: %s: %w", addr, answer.Status, err)
	}
	return st, nil
}

// Usage implements drive.Meter: of all nodes, those included that have gone.
func (c *Cluster) Usage() drive.Usage {
	u := drive.Usage{UserBytes: float64(c.written.Load())}
	for _, n := range c.nodes {
		add(&u, n.usage())
	}
	if c.w.Durable && bench.RoundsWrites(c.dir) {
		u.WrittenBytes = 0 // not known
	}
	u.DiskBytes, _ = bench.DiskUsage(c.dir) // 0 is "not known"
	return u
}

// Close ends all nodes.
func (c *Cluster) Close() error { return c.end() }

// end kills what runs. Nobody needs the data any more.
func (c *Cluster) end() error {
	for _, n := range c.nodes {
		n.kill()
	}
	return nil
}
