// Command edge measures what requests cost the server in CPU, time and
// allocations, beside an empty net/http handler that returns the same bytes and
// beside other servers of the same API.
//
//	go run ./bench/edge [-work regexp] [-c 1,16,64] [-for 1s] [-rounds 5]
//	go run ./bench/edge -peer dynalite=http://127.0.0.1:4567
//	go run ./bench/edge -durable -peer file=http://127.0.0.1:4568
//
// All servers are processes of their own, so that the CPU of the server alone
// is counted (user and system time from /proc, therefore Linux only; that of a
// peer only if it runs on this machine). They are measured in turns, and a
// ratio is the median over the rounds of the ratios within a round. Every
// server has the same data: 1 KB items in ten attributes.
//
// It also prints the time from start to first answer, the resident memory of
// an idle server and the time to restart on data of a killed one.
package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// options are the command's flags.
type options struct {
	work        *regexp.Regexp
	connections []int
	length      time.Duration
	rounds      int
	durable     bool
	bare        bool
	restartMB   int
	peers       []peer
}

// A peer is another server of the API.
type peer struct{ name, url string }

func main() {
	o := options{}
	work := flag.String("work", ".", "workloads to run: a regular expression of their names")
	connections := flag.String("c", "1,16,64", "connections, separated by commas")
	flag.DurationVar(&o.length, "for", time.Second, "length of a measurement")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; medians are printed")
	flag.BoolVar(&o.durable, "durable", false, "keep Stator's data on disk, and run only workloads that write")
	flag.BoolVar(&o.bare, "empty", true, "measure the empty handler, too")
	flag.IntVar(&o.restartMB, "restart-mb", 64, "data for the restart figure in MiB; 0 leaves the figures of starts out")
	flag.Func("peer", "another server, as NAME=http://HOST:PORT; may be repeated. It gets the tables edge-items and edge-lists", func(s string) error {
		name, address, ok := strings.Cut(s, "=")
		if !ok {
			name, address = s, s
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return fmt.Errorf("%q is no URL", address)
		}
		o.peers = append(o.peers, peer{name, "http://" + u.Host})
		return nil
	})
	empty := flag.String("empty-handler", "", "internal: serve this file for every request")
	flag.Parse()
	if *empty != "" {
		serveEmpty(*empty)
		return
	}
	if err := o.parse(*work, *connections); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

func (o *options) parse(work, connections string) (err error) {
	if o.work, err = regexp.Compile(work); err != nil {
		return err
	}
	for s := range strings.SplitSeq(connections, ",") {
		c, err := strconv.Atoi(s)
		if err != nil || c < 1 {
			return fmt.Errorf("-c %s: want numbers of connections", connections)
		}
		o.connections = append(o.connections, c)
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: want one at least", o.rounds)
	}
	return nil
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "stator-edge")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	stator := filepath.Join(dir, "stator")
	if out, err := exec.Command("go", "build", "-o", stator, "github.com/statordb/stator/cmd/stator").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if o.restartMB > 0 {
		if err := startFigures(stator, dir); err != nil {
			return err
		}
	}
	if err := compare(o, stator, dir); err != nil {
		return err
	}
	if o.restartMB > 0 {
		return restartFigure(stator, dir, o.restartMB)
	}
	return nil
}
