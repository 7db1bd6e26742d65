package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type clusterCommand struct {
	AZs       int           `name:"azs" default:"3" help:"How many nodes, each in an availability zone of its own."`
	Dir       string        `type:"path" predictor:"dir" default:"stator-cluster" help:"Directory with one directory for each node; made if missing."`
	Addr      string        `default:"127.0.0.1:8000" help:"Address of the first node; the others have the ports above. Port 0 takes free ones."`
	ZoneDelay time.Duration `name:"zone-delay" placeholder:"DURATION" help:"Have what zones send each other take so long, in each direction."`
	Serve     []string      `arg:"" optional:"" passthrough:"" help:"Further flags for stator serve, after --."`
}

// Run starts the nodes, says where they are and waits. It restarts nothing: a node that
// ends stays down until somebody starts it.
func (c *clusterCommand) Run(ctx context.Context) error {
	if c.AZs < 1 || c.AZs > 9 {
		return fmt.Errorf("--azs %d is not between 1 and 9", c.AZs)
	}
	host, ports, err := c.ports()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cluster := make([]string, c.AZs)
	for i := range cluster {
		cluster[i] = net.JoinHostPort("127.0.0.1", ports[c.AZs+i])
	}
	var nodes []*localNode
	defer func() {
		for _, n := range nodes {
			n.stop()
		}
	}()
	for i := range c.AZs {
		zone := string(rune('a' + i))
		args := []string{
			"serve", "--admin", "--dir", filepath.Join(c.Dir, zone), "--az", zone, "--addr", net.JoinHostPort(host, ports[i]),
			"--cluster-addr", cluster[i], "--join", strings.Join(cluster, ","),
		}
		if c.ZoneDelay != 0 {
			args = append(args, "--zone-delay", c.ZoneDelay.String())
		}
		n, err := startNode(program, zone, append(args, c.further()...))
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	return c.watch(ctx, nodes)
}

func (c *clusterCommand) further() []string {
	if len(c.Serve) > 0 && c.Serve[0] == "--" {
		return c.Serve[1:]
	}
	return c.Serve
}

// portsFile remembers the ports for the others' traffic: a node's address is part of
// who it is to its cluster.
const portsFile = "ports"

// ports returns the ports of all nodes, for clients and then for each other.
func (c *clusterCommand) ports() (host string, ports []string, err error) {
	host, first, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", nil, fmt.Errorf("--addr %s is not of the form HOST:PORT: %w", c.Addr, err)
	}
	base, err := strconv.Atoi(first)
	if err != nil || base < 0 || base+c.AZs > 65536 {
		return "", nil, fmt.Errorf("--addr %s: no such port", c.Addr)
	}
	for i := range c.AZs {
		if base == 0 {
			ports = append(ports, "0")
			continue
		}
		ports = append(ports, strconv.Itoa(base+i))
	}
	kept := filepath.Join(c.Dir, portsFile)
	if text, err := os.ReadFile(kept); err == nil {
		others := strings.Fields(string(text))
		if len(others) != c.AZs {
			return "", nil, fmt.Errorf("%s holds a cluster of %d nodes, not of %d", c.Dir, len(others), c.AZs)
		}
		return host, append(ports, others...), nil
	}
	others, err := freePorts(c.AZs)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", nil, err
	}
	return host, append(ports, others...), os.WriteFile(kept, []byte(strings.Join(others, " ")+"\n"), 0o644)
}

func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // when all have been found, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

// A localNode is a process of the cluster.
type localNode struct {
	zone  string
	cmd   *exec.Cmd
	first chan string // the line that says where it is
	ended chan struct{}
	err   error // once it has ended
}

// outputs keeps lines of several processes apart.
var outputs sync.Mutex

func startNode(program, zone string, args []string) (*localNode, error) {
	n := &localNode{zone: zone, cmd: exec.Command(program, args...), first: make(chan string, 1), ended: make(chan struct{})}
	n.cmd.SysProcAttr = ownGroup() // the terminal's interrupt reaches this process alone, which passes it on
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log, err := n.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	var read sync.WaitGroup
	read.Go(func() { n.lines(out, func(line string) { n.say(line) }) })
	read.Go(func() { n.lines(log, func(line string) { n.print(os.Stderr, line) }) })
	go func() {
		read.Wait()
		n.err = n.cmd.Wait()
		close(n.ended)
	}()
	return n, nil
}

func (n *localNode) lines(r io.Reader, f func(string)) {
	for s := bufio.NewScanner(r); s.Scan(); {
		f(s.Text())
	}
}

func (n *localNode) say(line string) {
	if strings.Contains(line, "http://") { // and not, say, how the command is used
		select {
		case n.first <- line:
		default:
		}
	}
	n.print(os.Stdout, line)
}

func (n *localNode) print(w io.Writer, line string) {
	outputs.Lock()
	defer outputs.Unlock()
	fmt.Fprintf(w, "%s: %s\n", n.zone, line)
}

// stop ends the process, gently first.
func (n *localNode) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(drainFor + 10*time.Second):
		_ = n.cmd.Process.Kill()
		<-n.ended
	}
}

// watch waits until the cluster is to end, or no node is left.
func (c *clusterCommand) watch(ctx context.Context, nodes []*localNode) error {
	ready := 0
	for _, n := range nodes {
		select {
		case <-n.first:
			ready++
		case <-n.ended:
			return fmt.Errorf("the node in zone %s did not start: %w", n.zone, n.err)
		case <-ctx.Done():
			return nil
		}
	}
	outputs.Lock()
	fmt.Printf("cluster of %d nodes is up; stator admin shows it. Interrupt to stop all.\n", ready)
	outputs.Unlock()
	gone := make(chan *localNode, len(nodes))
	for _, n := range nodes {
		go func() {
			<-n.ended
			gone <- n
		}()
	}
	for range nodes {
		select {
		case <-ctx.Done():
			return stopAll(nodes)
		case n := <-gone:
			n.print(os.Stderr, "the node has ended")
		}
	}
	return errors.New("no node is left")
}

// stopAll ends all nodes at the same time: a node that waits for others to lead what
// it led would wait for those that have gone.
func stopAll(nodes []*localNode) error {
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(n.stop)
	}
	all.Wait()
	return nil
}
