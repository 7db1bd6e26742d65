package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/statordb/stator/server"
	"github.com/statordb/stator/table"
)

type adminCommand struct {
	Endpoint string `default:"http://127.0.0.1:8000" help:"A node that was started with --admin."`

	Nodes    nodesCommand    `cmd:"" default:"withargs" help:"Show the nodes."`
	Groups   groupsCommand   `cmd:"" help:"Show the groups: who leads, who has a replica, how far it is."`
	Drain    drainCommand    `cmd:"" help:"Have a node give its replicas away."`
	Activate activateCommand `cmd:"" help:"Take a drain back."`
	Remove   removeCommand   `cmd:"" help:"Take a node out of the cluster for good."`
	Transfer transferCommand `cmd:"" help:"Have another node lead a group."`
	Move     moveCommand     `cmd:"" help:"Move a replica of a group from one node to another one."`
	Split    splitCommand    `cmd:"" help:"Split a partition in two."`
	Kill     killCommand     `cmd:"" help:"Kill a node's process, as kill -9."`
	Cut      cutCommand      `cmd:"" help:"Have the node at the endpoint lose the connection to some nodes, or to all."`
	Heal     healCommand     `cmd:"" help:"End what cut did at the endpoint."`
	Delay    delayCommand    `cmd:"" help:"Have what zones send each other take longer, or what the node at the endpoint sends to some nodes."`
	Certs    certsCommand    `cmd:"" help:"Make an authority and certificates for the nodes of a cluster."`
}

// An adminFailure is what a node answers if it cannot do something.
type adminFailure struct {
	Message string `json:"message"`
}

// ask has the endpoint, or another node behind it, carry out an operation.
func (c *adminCommand) ask(ctx context.Context, name string, node uint64, in server.AdminRequest, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	endpoint := strings.TrimSuffix(c.Endpoint, "/")
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	url := endpoint + "/_stator/admin/" + name
	if node != 0 {
		url += "?node=" + strconv.FormatUint(node, 10)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-Stator-Admin", "1")
	answer, err := http.DefaultClient.Do(r)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no node at %s; --endpoint says which one to ask: %w", endpoint, err)
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s does not answer operators; was it started with --admin?", c.Endpoint)
	case answer.StatusCode != http.StatusOK:
		var f adminFailure
		if json.Unmarshal(text, &f) == nil && f.Message != "" {
			return fmt.Errorf("%s", f.Message)
		}
		return fmt.Errorf("%s: %s", answer.Status, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

type nodesCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (n *nodesCommand) Run(ctx context.Context, c *commands) error {
	var st server.AdminStatus
	if err := c.Admin.ask(ctx, "Nodes", 0, server.AdminRequest{}, &st); err != nil {
		return err
	}
	if n.JSON {
		return json.NewEncoder(os.Stdout).Encode(st)
	}
	return printNodes(os.Stdout, &st)
}

func printNodes(w io.Writer, st *server.AdminStatus) error {
	if len(st.Members) == 0 {
		_, err := fmt.Fprintln(w, "this node is alone, or the cluster is being founded")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tZONE\tADDRESS\tSTATE\tREMARKS")
	for _, m := range st.Members {
		var remarks []string
		for text, is := range map[string]bool{
			"leads the catalog": m.Node == st.Leader, "asked": m.Node == st.Node, "unreachable": m.Unreachable, "cut": m.Cut,
		} {
			if is {
				remarks = append(remarks, text)
			}
		}
		if m.Delay != "" {
			remarks = append(remarks, "hears "+m.Delay+" later")
		}
		slices.Sort(remarks)
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", m.Node, m.Zone, m.Address, m.State, strings.Join(remarks, ", "))
	}
	return t.Flush()
}

type groupsCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (g *groupsCommand) Run(ctx context.Context, c *commands) error {
	var st server.AdminStatus
	if err := c.Admin.ask(ctx, "Groups", 0, server.AdminRequest{}, &st); err != nil {
		return err
	}
	all := map[uint64]table.GroupState{}
	note := func(groups []table.GroupState) {
		for _, g := range groups {
			// The leader knows best; then whoever has a replica.
			if old, ok := all[g.ID]; !ok || g.Status.Leading || g.Here && !old.Here {
				all[g.ID] = g
			}
		}
	}
	note(st.Groups)
	patience, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	for i, answer := range c.Admin.askOthers(patience, &st) {
		switch m := st.Members[i]; {
		case answer != nil:
			note(answer.Groups)
		case m.Node != st.Node && m.State != "gone":
			fmt.Fprintf(os.Stderr, "node %d does not answer: what it knows is missing\n", m.Node)
		}
	}
	var list []table.GroupState
	for _, g := range all {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b table.GroupState) int { return int(int64(a.ID) - int64(b.ID)) })
	if g.JSON {
		return json.NewEncoder(os.Stdout).Encode(list)
	}
	return printGroups(os.Stdout, list)
}

// othersPatience is how long nodes beside the endpoint have for an answer: one whose disk hangs has none, and
// that is when operators look.
const othersPatience = 3 * time.Second

// askOthers returns the status, with groups, of each member beside the endpoint, at its place in the list of members; nil: there
// is no answer.
func (c *adminCommand) askOthers(ctx context.Context, st *server.AdminStatus) []*server.AdminStatus {
	answers := make([]*server.AdminStatus, len(st.Members))
	var wg sync.WaitGroup
	for i, m := range st.Members {
		if m.Node == st.Node || m.State == "gone" || m.Unreachable {
			continue
		}
		wg.Go(func() {
			var answer server.AdminStatus
			if c.ask(ctx, "Groups", m.Node, server.AdminRequest{}, &answer) == nil {
				answers[i] = &answer
			}
		})
	}
	wg.Wait()
	return answers
}

func printGroups(w io.Writer, list []table.GroupState) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GROUP\tOF\tFIRST HASH\tSIZE\tLEADER\tTERM\tAPPLIED\tREPLICAS (entries behind)")
	for _, g := range list {
		of := "catalog"
		if g.Table != "" {
			of = g.Table
		}
		if g.Index != "" {
			of += "/" + g.Index
		}
		leader := "none"
		if g.Status.Leader != 0 {
			leader = strconv.FormatUint(g.Status.Leader, 10)
		}
		var replicas []string
		for _, p := range g.Status.Progress {
			text := fmt.Sprintf("%d (%d)", p.Node, g.Status.Last-min(p.Match, g.Status.Last))
			if p.Learner {
				text += " learner"
			}
			if p.Snapshot {
				text += " snapshot"
			}
			if !p.Active {
				text += " silent"
			}
			replicas = append(replicas, text)
		}
		if len(replicas) == 0 {
			var nodes []string
			for _, n := range g.Replicas {
				nodes = append(nodes, fmt.Sprint(n))
			}
			replicas = []string{"on " + strings.Join(nodes, ", ") + "; no leader tells how far"}
		}
		if g.Error != "" {
			replicas = append(replicas, g.Error)
		}
		hash, size := "", ""
		if g.Table != "" {
			hash = fmt.Sprintf("0x%016x", g.First)
		}
		if g.Table != "" && g.Here {
			size = strconv.FormatInt(g.Bytes, 10)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", g.ID, of, hash, size, leader, g.Status.Term, g.Status.Applied, strings.Join(replicas, ", "))
	}
	return t.Flush()
}

// change carries out an operation and shows the nodes afterwards.
func (c *adminCommand) change(ctx context.Context, name string, at uint64, in server.AdminRequest) error {
	var st server.AdminStatus
	if err := c.ask(ctx, name, at, in, &st); err != nil {
		return err
	}
	return printNodes(os.Stdout, &st)
}

// oneNode is the argument of most commands.
type oneNode struct {
	Node uint64 `arg:"" help:"Number of the node."`
}

type drainCommand struct{ oneNode }

func (d *drainCommand) Run(ctx context.Context, c *commands) error {
	var st server.AdminStatus
	if err := c.Admin.ask(ctx, "Drain", 0, server.AdminRequest{Node: d.Node}, &st); err != nil {
		return err
	}
	err := printNodes(os.Stdout, &st)
	if note := drainNote(st.Members, d.Node); note != "" {
		fmt.Fprintln(os.Stderr, note)
	}
	return err
}

// drainNote says how many replicas groups have left if no other node can take those of one that drains; else it is empty.
func drainNote(members []server.AdminMember, node uint64) string {
	zones := func(counts func(m server.AdminMember) bool) int {
		seen := map[string]bool{}
		for _, m := range members {
			if counts(m) {
				seen[m.Zone] = true
			}
		}
		return min(len(seen), 3)
	}
	left := zones(func(m server.AdminMember) bool { return m.State == "active" && m.Node != node })
	if left == zones(func(m server.AdminMember) bool { return m.State == "active" || m.Node == node }) {
		return ""
	}
	return fmt.Sprintf("no other node can take the replicas of node %d: its partitions go on with %d, and stand still if one of these is away, until another node joins or node %d is activated", node, left, node)
}

type activateCommand struct{ oneNode }

func (d *activateCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.change(ctx, "Activate", 0, server.AdminRequest{Node: d.Node})
}

type removeCommand struct {
	oneNode
	Force bool `help:"Also a node that has not been drained: what it has is made anew from the other replicas."`
}

func (d *removeCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.change(ctx, "Remove", 0, server.AdminRequest{Node: d.Node, Force: d.Force})
}

type killCommand struct{ oneNode }

func (k *killCommand) Run(ctx context.Context, c *commands) error {
	// What it answers with is from before it was killed.
	if err := c.Admin.ask(ctx, "Kill", k.Node, server.AdminRequest{}, &server.AdminStatus{}); err != nil {
		return err
	}
	fmt.Printf("node %d is killed; 'stator admin nodes' shows it once the others have noticed\n", k.Node)
	return nil
}

type cutCommand struct {
	From []uint64 `arg:"" optional:"" help:"Numbers of nodes; default: all others."`
}

func (k *cutCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.change(ctx, "Cut", 0, server.AdminRequest{Nodes: k.From})
}

type healCommand struct{}

func (healCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.change(ctx, "Heal", 0, server.AdminRequest{})
}

type delayCommand struct {
	Delay time.Duration `arg:"" help:"In one direction, as in 1ms; 0s ends it. At most a minute."`
	To    []uint64      `arg:"" optional:"" help:"Numbers of nodes: only what the node at the endpoint sends to these. Default: what all nodes send to nodes of other zones."`
}

func (d *delayCommand) Run(ctx context.Context, c *commands) error {
	in := server.AdminRequest{Delay: d.Delay.String(), Nodes: d.To}
	var st server.AdminStatus
	if err := c.Admin.ask(ctx, "Delay", 0, in, &st); err != nil {
		return err
	}
	var errs []error
	for _, m := range st.Members {
		if len(d.To) > 0 || m.Node == st.Node || m.State == "gone" {
			continue
		}
		if err := c.Admin.ask(ctx, "Delay", m.Node, in, nil); err != nil {
			errs = append(errs, fmt.Errorf("node %d: %w", m.Node, err))
		}
	}
	return errors.Join(append(errs, printNodes(os.Stdout, &st))...)
}
