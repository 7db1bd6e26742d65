package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/transport/tcp"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// NodeOptions say how a real node finds its cluster.
type NodeOptions struct {
	// Zone is the node's availability zone; it may not be empty.
	Zone string
	// Listen is the address for other nodes, Advertise the one that they are told;
	// default: that of Listen.
	Listen, Advertise string
	// Join are addresses of nodes, in any order. If none of them belongs to a cluster and
	// this node is among them, they found one together as soon as all are up and have
	// the same list. Otherwise the node joins the cluster of any of them. It matters
	// until the node has its place, which its directory remembers.
	Join []string
	// Init founds a cluster of this node alone, which others may join.
	Init bool
	// Node, if not 0, is the number that the node must have.
	Node uint64
	// TLS secures the connections between nodes; see LoadTLS. Default: none.
	TLS *tls.Config
	// StaleReads is Cluster.StaleReads.
	StaleReads bool
	// Tick is Cluster.Tick.
	Tick time.Duration
	// ZoneDelay is how much later what the node sends to nodes of other zones leaves, as if the zones were
	// further away from each other: for demonstrations and measurements on one machine. Default 0, at
	// most MaxZoneDelay. Operators can change it while the node runs.
	ZoneDelay time.Duration
}

// LoadTLS reads a node's certificate and key and the certificate of the cluster's
// authority, in PEM, for NodeOptions.TLS. Whoever has a certificate of that
// authority may be a node of the cluster.
func LoadTLS(cert, key, authority string) (*tls.Config, error) {
	return tcp.LoadTLS(cert, key, authority)
}

// A Node is a server that is one of a cluster of real hosts.
type Node struct {
	*Server
	net      *tcp.Transport
	listener *borrowed
	identity *identity
	fs       vfs.FS
	lock     *vfs.DirLock
	log      *slog.Logger

	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu    sync.Mutex        // guards moved
	moved map[uint64]string // addresses of nodes that have said that they moved

	delays zoneDelays
}

// OpenNode opens the database of o as a node of a cluster. It returns once the node
// has a place in one, which may take until others are up; ctx ends the wait.
func OpenNode(ctx context.Context, o Options, n NodeOptions) (_ *Node, err error) {
	o.setDefaults()
	if n.Zone == "" {
		return nil, errors.New("server: a node of a cluster has an availability zone")
	}
	if err := checkDelay(n.ZoneDelay); err != nil {
		return nil, err
	}
	node := &Node{log: o.Log, moved: map[uint64]string{}}
	node.delays.between = n.ZoneDelay
	ctx, node.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, node.Close())
		}
	}()
	if err := node.openDirectory(o); err != nil {
		return nil, err
	}
	if err := node.listen(&n); err != nil {
		return nil, err
	}
	e := env.New()
	g := &greeter{}
	if err := node.findPlace(ctx, e, g, n); err != nil {
		return nil, err
	}
	return node, node.open(ctx, e, g, o, n)
}

func (n *Node) openDirectory(o Options) error {
	if o.Memory {
		n.fs = vfs.NewMem()
		return checkFormat(n.fs)
	}
	fs, err := vfs.NewOS(o.Dir)
	if err != nil {
		return err
	}
	if _, err := recognise(fs); err != nil {
		return err
	}
	if n.lock, err = vfs.Lock(fs.Root()); err != nil {
		return err
	}
	n.fs = fs
	return checkFormat(fs)
}

func (n *Node) listen(o *NodeOptions) error {
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return err
	}
	n.listener = &borrowed{l.(*net.TCPListener)}
	if o.Advertise == "" {
		o.Advertise = l.Addr().String()
		if host, _, _ := net.SplitHostPort(o.Listen); host != "" {
			_, port, _ := net.SplitHostPort(l.Addr().String())
			o.Advertise = net.JoinHostPort(host, port)
		}
	}
	return nil
}

// A borrowed listener outlives who uses it: Close only ends its Accept.
type borrowed struct{ *net.TCPListener }

func (b *borrowed) Close() error { return b.SetDeadline(time.Unix(1, 0)) }

// reopen lets the next one use it.
func (b *borrowed) reopen() error { return b.SetDeadline(time.Time{}) }

// findPlace reads the node's identity, or gets it one.
func (n *Node) findPlace(ctx context.Context, e *env.Env, g *greeter, o NodeOptions) (err error) {
	if n.identity, err = readIdentity(n.fs); err != nil {
		return err
	}
	if n.identity == nil {
		if err := n.mayBecomeNode(o); err != nil {
			return err
		}
		n.identity = &identity{Format: nodeFormat, Token: newToken(e)}
		if err := n.identity.write(n.fs); err != nil {
			return err
		}
	}
	list := slices.Clone(o.Join)
	slices.Sort(list)
	list = slices.Compact(list)
	g.self = placed{Zone: o.Zone, Address: o.Advertise, Token: n.identity.Token}
	g.list = list
	if !n.identity.born() {
		if !o.Init && len(list) == 0 {
			return fmt.Errorf("server: a new node needs others to join, or to found a cluster by itself (init)")
		}
		if err := n.beBorn(ctx, g, o, list); err != nil {
			return err
		}
	} else if err := n.sameCluster(ctx, o, list); err != nil {
		return err
	}
	if o.Node != 0 && o.Node != n.identity.Node {
		return fmt.Errorf("%w: it is that of node %d, not of node %d", ErrIdentity, n.identity.Node, o.Node)
	}
	return n.sameZone(o.Zone, n.identity.zone())
}

// sameZone refuses to start a node in another zone than it was born in, where the others count its replicas.
func (n *Node) sameZone(given, known string) error {
	if known == "" || known == given {
		return nil
	}
	return fmt.Errorf("%w: it is that of node %d in zone %s, not in zone %s; for another zone, let a new node join", ErrIdentity, n.identity.Node, known, given)
}

// mayReturn refuses to start a node that its own copy of the catalog says was removed, as nobody talks to it any more. One that
// has not heard of it asks others: see sameCluster.
func (n *Node) mayReturn(zone string, self table.Member) error {
	if self.State == "gone" {
		return n.wasRemoved()
	}
	return n.sameZone(zone, self.Zone)
}

func (n *Node) wasRemoved() error {
	return fmt.Errorf("%w: it is that of node %d, which was removed from the cluster; let a new node join, with an empty directory", ErrIdentity, n.identity.Node)
}

// mayBecomeNode refuses to make a database that is alone a part of another cluster.
// It may found one, whose first node it is.
func (n *Node) mayBecomeNode(o NodeOptions) error {
	names, err := n.fs.List(storeDir)
	if err != nil && !errors.Is(err, vfs.ErrNotExist) {
		return err
	}
	if len(names) > 0 && !o.Init {
		return fmt.Errorf("%w: it holds a database that is alone; it can found a cluster (init), not join one", ErrIdentity)
	}
	return nil
}

// beBorn gives the node its place. Others are answered meanwhile.
func (n *Node) beBorn(ctx context.Context, g *greeter, o NodeOptions, list []string) error {
	t := tcp.New(n.listener, tcp.Options{TLS: o.TLS, Greet: g.answer})
	defer t.Close()
	b := &birth{self: g.self, list: list, init: o.Init, greet: greetOver(o.TLS), log: func(waits string) {
		n.log.Info("cluster: waiting for " + waits) // as each node does that is not the last one to start
	}}
	id, err := b.place(ctx)
	if err != nil {
		return err
	}
	if err := id.write(n.fs); err != nil {
		return err
	}
	n.identity = id
	return nil
}

// sameClusterPatience is how long a node that has a place looks whether those it is
// told to join are of its cluster, and count on it.
const sameClusterPatience = 2 * time.Second

// sameCluster refuses a directory of another cluster, and that of a node that was removed. Nodes that do not answer prove
// nothing: connections to them will be refused, too, if they are of another. Without a list those are asked whom
// the node knew when it got its place.
func (n *Node) sameCluster(ctx context.Context, o NodeOptions, list []string) error {
	ctx, cancel := context.WithTimeout(ctx, sameClusterPatience)
	defer cancel()
	greet := greetOver(o.TLS)
	if len(list) == 0 {
		for _, p := range slices.Concat(n.identity.Founders, n.identity.Peers) {
			if p.Node != n.identity.Node {
				list = append(list, p.Address)
			}
		}
	}
	for _, addr := range list {
		if addr == o.Advertise {
			continue
		}
		r, err := greet(ctx, addr, greeting{placed: placed{Node: n.identity.Node}})
		switch {
		case err != nil || r.Cluster == "":
		case r.Cluster != n.identity.Cluster:
			return fmt.Errorf("%w: it is of cluster %s, and %s of cluster %s", ErrIdentity, n.identity.Cluster, addr, r.Cluster)
		case r.Removed:
			return n.wasRemoved()
		}
	}
	return nil
}

func clusterID(text string) (id tcp.ClusterID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("server: %s: cluster %q", nodeFile, text)
	}
	return tcp.ClusterID(b), nil
}

// open starts the node in its place.
func (n *Node) open(ctx context.Context, e *env.Env, g *greeter, o Options, no NodeOptions) error {
	cluster, err := clusterID(n.identity.Cluster)
	if err != nil {
		return err
	}
	if err := n.listener.reopen(); err != nil {
		return err
	}
	g.mu.Lock()
	g.id = n.identity
	g.mu.Unlock()
	n.net = tcp.New(n.listener, tcp.Options{
		Self: transport.NodeID(n.identity.Node), Cluster: cluster, TLS: no.TLS, Greet: g.answer, Log: o.Log,
		Tick: cmp.Or(no.Tick, replication.DefaultTick),
	})
	for _, p := range slices.Concat(n.identity.Founders, n.identity.Peers) {
		n.net.SetPeer(transport.NodeID(p.Node), p.Address)
		n.delays.apply(n.net, p.Node, p.Zone != no.Zone)
	}
	o.Cluster = &Cluster{
		Node: n.identity.Node, Zone: no.Zone, Address: no.Advertise, Transport: n.net, StaleReads: no.StaleReads, Tick: no.Tick,
	}
	for _, f := range n.identity.Founders {
		o.Cluster.Founders = append(o.Cluster.Founders, table.Member{ID: f.Node, Zone: f.Zone, Address: f.Address})
	}
	if n.Server, err = OpenOn(e, n.fs, o); err != nil {
		return err
	}
	for _, m := range n.tables.Members() { // as far as its own copy of the catalog goes
		if m.ID == n.identity.Node {
			if err := n.mayReturn(no.Zone, m); err != nil {
				return err
			}
		}
	}
	n.addAdmin()
	g.mu.Lock()
	g.join, g.move, g.know, g.gone = n.takeIn, n.moveNode, n.known, n.isGone
	g.mu.Unlock()
	n.tasks.Go(func() { n.followPeers(ctx, no) })
	return nil
}

// peersPause is how often a node looks where the others are.
const peersPause = 250 * time.Millisecond

// followPeers keeps the transport in line with the catalog.
func (n *Node) followPeers(ctx context.Context, no NodeOptions) {
	var moved time.Time
	removed := false
	for {
		for _, m := range n.tables.Members() {
			id := transport.NodeID(m.ID)
			switch {
			case m.State == "gone" && id == n.net.Self():
				if !removed {
					n.log.Warn("cluster: this node was removed: nobody talks to it any more, and it is to be stopped", "node", m.ID)
				}
				removed = true
			case m.State == "gone":
				n.net.RemovePeer(id)
			case id != n.net.Self():
				n.net.SetPeer(id, n.whereIs(m))
				n.delays.apply(n.net, m.ID, m.Zone != n.cluster.Zone)
			case m.Address != n.cluster.Address && time.Since(moved) > 10*time.Second:
				moved = time.Now() // and again, if it is not seen to work
				n.tellAddress(ctx, no.TLS)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(peersPause):
		}
	}
}

// whereIs returns where a node is: what it has said itself counts until the catalog
// says so, too.
func (n *Node) whereIs(m table.Member) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	said, ok := n.moved[m.ID]
	switch {
	case !ok:
		return m.Address
	case said == m.Address:
		delete(n.moved, m.ID)
	}
	return said
}

// known returns the other nodes as a new one is told of them.
func (n *Node) known() (peers []placed) {
	for _, m := range n.tables.Members() {
		if m.State != "gone" {
			peers = append(peers, placed{Node: m.ID, Zone: m.Zone, Address: m.Address})
		}
	}
	return peers
}

// isGone reports whether a node was removed, as far as this one knows.
func (n *Node) isGone(node uint64) bool {
	return slices.ContainsFunc(n.tables.Members(), func(m table.Member) bool { return m.ID == node && m.State == "gone" })
}

// Place says which node of which cluster it is.
func (n *Node) Place() (node uint64, cluster string) { return n.identity.Node, n.identity.Cluster }

// ClusterAddr returns the address that other nodes are told.
func (n *Node) ClusterAddr() string { return n.cluster.Address }

// addAdmin adds what only real nodes can do.
func (n *Node) addAdmin() {
	n.complete = func(st *AdminStatus) {
		st.Cluster = n.identity.Cluster
		peers := map[uint64]tcp.PeerStatus{}
		for _, p := range n.net.Peers() {
			peers[uint64(p.ID)] = p
		}
		for i := range st.Members {
			m := &st.Members[i]
			p := peers[m.Node]
			if m.Cut = p.Cut; p.Delay > 0 {
				m.Delay = p.Delay.String()
			}
		}
	}
	n.local["Delay"] = n.setDelay
	n.local["Cut"] = func(r *AdminRequest) (any, error) {
		if err := n.areNodes(r.Nodes); err != nil {
			return nil, err
		}
		n.net.Cut(n.others(r.Nodes)...)
		return n.status(), nil
	}
	n.local["Heal"] = func(*AdminRequest) (any, error) {
		n.net.Heal()
		return n.status(), nil
	}
	n.local["Kill"] = func(*AdminRequest) (any, error) {
		p, err := os.FindProcess(os.Getpid())
		if err != nil {
			return nil, err
		}
		time.AfterFunc(killDelay, func() { _ = p.Kill() })
		return n.status(), nil
	}
}

// killDelay lets the answer to whoever asked for it get out.
const killDelay = 100 * time.Millisecond

// areNodes refuses numbers of nodes that there are not.
func (n *Node) areNodes(ids []uint64) error {
	members := n.tables.Members()
	for _, id := range ids {
		if !slices.ContainsFunc(members, func(m table.Member) bool { return m.ID == id && m.State != "gone" }) {
			return fmt.Errorf("server: no node %d", id)
		}
	}
	return nil
}

// others returns the nodes that are meant: none stands for all.
func (n *Node) others(nodes []uint64) (ids []transport.NodeID) {
	for _, id := range nodes {
		ids = append(ids, transport.NodeID(id))
	}
	if len(nodes) == 0 {
		for _, p := range n.net.Peers() {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// Close stops the node.
func (n *Node) Close() error {
	n.stop()
	n.tasks.Wait()
	var errs []error
	if n.Server != nil {
		errs = append(errs, n.Server.Close())
	}
	if n.net != nil {
		errs = append(errs, n.net.Close())
	}
	if n.listener != nil {
		errs = append(errs, n.listener.TCPListener.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
