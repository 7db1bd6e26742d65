package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/statordb/stator/server"
)

var clusterKills = flag.Int("cluster-kills", 1, "how often TestClusterKill kills a node")

// A process is a node of a cluster of processes.
type process struct {
	args   []string
	cmd    *exec.Cmd
	url    string
	client *dynamodb.Client
}

// run starts the process; the endpoint is known once it has a place in the cluster.
func (p *process) run(t *testing.T) (first <-chan string) {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, p.args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	p.cmd = cmd
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	return lines
}

func (p *process) await(t *testing.T, first <-chan string) {
	t.Helper()
	select {
	case line := <-first:
		i := strings.Index(line, "http://")
		if i < 0 {
			t.Fatalf("%v: the first line is %q", p.args, line)
		}
		p.url = strings.Fields(line[i:])[0]
	case <-time.After(30 * time.Second):
		t.Fatalf("%v: it does not start", p.args)
	}
	p.client = dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(p.url), Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
		RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second},
	})
}

// startCluster starts three nodes that found a cluster.
func startCluster(t *testing.T, further ...string) []*process {
	t.Helper()
	dir := t.TempDir()
	ports, err := freePorts(6)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for _, port := range ports[:3] {
		addrs = append(addrs, "127.0.0.1:"+port)
	}
	nodes := make([]*process, 3)
	waits := make([]<-chan string, 3)
	for i := range nodes {
		zone := string(rune('a' + i))
		nodes[i] = &process{args: append([]string{"serve", "--admin", "--dir", filepath.Join(dir, zone), "--az", zone,
			"--addr", "127.0.0.1:" + ports[3+i], "--cluster-addr", addrs[i], "--join", strings.Join(addrs, ",")}, further...)}
		waits[i] = nodes[i].run(t)
	}
	for i, p := range nodes {
		p.await(t, waits[i])
	}
	return nodes
}

// until repeats what may fail while a cluster finds itself.
func until(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// TestClusterKill kills nodes of a cluster of three processes under load whose clients go to another
// node when one fails: the load goes on, and every acknowledged write is there for clients of
// every node, also after the killed ones are back.
func TestClusterKill(t *testing.T) {
	nodes := startCluster(t)
	createTable(t, nodes[1].client, "versions")
	var ws [writers]writer
	for round := range *clusterKills {
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for id := range ws {
			wg.Go(func() {
				at := id
				for v := ws[id].sent.Load() + 1; ctx.Err() == nil; v++ {
					// A put may be repeated: it does the same again.
					for ctx.Err() == nil && ws[id].write(ctx, nodes[at%3].client, id, v) != nil {
						at++
					}
				}
			})
		}
		time.Sleep(time.Duration(100+rand.IntN(300)) * time.Millisecond) // the load must run for a while
		victim := rand.IntN(3)
		healthy := total(ws[:])
		nodes[victim].cmd.Process.Kill()
		nodes[victim].cmd.Wait()
		killed := time.Now()
		var before [writers]int64
		for id := range ws {
			before[id] = ws[id].acked.Load()
		}
		until(t, "every writer goes on without the node", func() error {
			for id := range ws {
				if now := ws[id].acked.Load(); now < before[id]+2 {
					return fmt.Errorf("writer %d is at version %d since", id, now)
				}
			}
			return nil
		})
		t.Logf("round %d: %d writes before node %d was killed; %v until every writer went on", round, healthy, victim+1, time.Since(killed))
		first := nodes[victim].run(t)
		began := time.Now()
		nodes[victim].await(t, first)
		started := time.Since(began)
		stop()
		wg.Wait()
		for _, p := range nodes {
			until(t, "the table is known", func() error {
				_, err := p.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("versions")})
				return err
			})
			for id := range ws {
				ws[id].check(t, p.client, id)
			}
		}
		t.Logf("round %d: it is back after %v, and all is checked after %v", round, started, time.Since(began))
		if t.Failed() {
			return
		}
	}
}

// total returns how many writes were acknowledged.
func total(ws []writer) (n int64) {
	for id := range ws {
		n += ws[id].acked.Load()
	}
	return n
}

// TestClusterTLS: nodes with certificates of one authority found a cluster; a node
// without stays out. Operators see it, and can take a node down.
func TestClusterTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes")
	}
	dir := t.TempDir()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(name, "admin", "certs", "--dir", dir, "n").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	security := []string{"--tls-ca", filepath.Join(dir, "ca.pem"), "--tls-cert", filepath.Join(dir, "n.pem"), "--tls-key", filepath.Join(dir, "n-key.pem")}
	nodes := startCluster(t, security...)
	createTable(t, nodes[2].client, "versions")

	stranger := exec.Command(name, "serve", "--dir", filepath.Join(t.TempDir(), "d"), "--az", "d", "--addr", "127.0.0.1:0", "--cluster-addr", "127.0.0.1:0",
		"--join", nodes[0].args[len(nodes[0].args)-len(security)-1])
	out, _ := stranger.StdoutPipe()
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*time.Second, func() { stranger.Process.Kill() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "" {
		t.Errorf("a node without certificates is taken in: %s", line)
	}
	stranger.Wait()

	var st server.AdminStatus
	text, err := exec.Command(name, "admin", "--endpoint", nodes[0].url, "nodes", "--json").Output()
	if err != nil || json.Unmarshal(text, &st) != nil || len(st.Members) != 3 || !st.Ready {
		t.Fatalf("admin nodes: %v, %s", err, text)
	}
	// All nodes hold back what they send to other zones, as any of them shows.
	if out, err := exec.Command(name, "admin", "--endpoint", nodes[0].url, "delay", "2ms").CombinedOutput(); err != nil || strings.Count(string(out), "hears 2ms later") != 2 {
		t.Errorf("admin delay: %v, %s", err, out)
	}
	if out, err := exec.Command(name, "admin", "--endpoint", nodes[1].url, "nodes").CombinedOutput(); err != nil || strings.Count(string(out), "hears 2ms later") != 2 {
		t.Errorf("after admin delay: %v, %s", err, out)
	}
	if out, err := exec.Command(name, "admin", "--endpoint", strings.TrimPrefix(nodes[0].url, "http://"), "cut", "9").CombinedOutput(); err == nil || !strings.Contains(string(out), "no node 9") {
		t.Errorf("admin cut 9: %v, %s", err, out)
	}
	if out, err := exec.Command(name, "admin", "--endpoint", nodes[0].url, "kill", "3").CombinedOutput(); err != nil {
		t.Fatalf("admin kill: %v, %s", err, out)
	}
	if err := nodes[2].cmd.Wait(); err == nil || nodes[2].cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("node 3 ended with %v", err)
	}
	until(t, "node 1 sees that node 3 is away", func() error {
		text, err := exec.Command(name, "admin", "--endpoint", nodes[0].url, "nodes").CombinedOutput()
		if err == nil && !strings.Contains(string(text), "unreachable") {
			err = fmt.Errorf("it shows %s", text)
		}
		return err
	})
	if out, err := exec.Command(name, "admin", "--endpoint", nodes[0].url, "groups").CombinedOutput(); err != nil || !strings.Contains(string(out), "versions") {
		t.Errorf("admin groups: %v, %s", err, out)
	}
}

// A cluster whose nodes do not start is not said to be up.
func TestClusterCommandOfNone(t *testing.T) {
	dir := t.TempDir()
	if code, out := run(t, dir, strings.Fields("cluster --azs 1 --dir c --addr 127.0.0.1:0 -- --sync nope")...); code != 2 || strings.Contains(out, "is up") || !strings.Contains(out, "did not start") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestClusterCommand starts a cluster by one command and stops it by one signal.
func TestClusterCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four processes")
	}
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "cluster", "--dir", t.TempDir(), "--addr", "127.0.0.1:0", "--", "--sync", "never")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	endpoints, up, node := 0, false, ""
	lines := bufio.NewScanner(out)
	for !up && lines.Scan() {
		if i := strings.Index(lines.Text(), "http://127.0.0.1:"); i >= 0 {
			node = strings.Fields(lines.Text()[i:])[0]
			endpoints++
		}
		up = strings.Contains(lines.Text(), "cluster of 3 nodes is up")
	}
	if !up || endpoints != 3 {
		t.Errorf("up: %v, with %d endpoints", up, endpoints)
	}
	if out, err := exec.Command(name, "admin", "--endpoint", node, "kill", "2").CombinedOutput(); err != nil {
		t.Errorf("admin kill: %v, %s", err, out)
	}
	told := false // while the first node runs
	for !told && lines.Scan() {
		told = lines.Text() == "b: the node has ended"
	}
	if !told {
		t.Error("nobody is told that a node has ended")
	}
	go func() {
		for lines.Scan() { // until all have ended
		}
	}()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
