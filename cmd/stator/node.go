package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/statordb/stator/server"
)

// nodeFlags make a server a node of a cluster.
type nodeFlags struct {
	AZ          string        `name:"az" placeholder:"ZONE" help:"Availability zone of this node; makes it one of a cluster."`
	ClusterAddr string        `name:"cluster-addr" placeholder:"HOST:PORT" help:"Address for the other nodes."`
	Advertise   string        `name:"cluster-advertise" placeholder:"HOST:PORT" help:"Address that the other nodes are told. Default: --cluster-addr."`
	Join        []string      `name:"join" placeholder:"HOST:PORT" help:"Nodes, separated by commas. A new cluster is founded once all of them are up, with the same list on each; a new node joins the cluster of any of them."`
	Init        bool          `name:"init" help:"Found a cluster of this node alone, which others may join."`
	NodeID      uint64        `name:"node-id" placeholder:"N" help:"Refuse to start unless this is the node's number."`
	StaleReads  bool          `name:"stale-reads" help:"Answer eventually consistent reads from replicas that do not lead, to make replication lag visible."`
	ZoneDelay   time.Duration `name:"zone-delay" placeholder:"DURATION" help:"Hold back so long what goes to nodes of other zones, as if they were that far away in one direction: for demonstrations and measurements on one machine. stator admin delay changes it."`

	TLSCert string `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate for the other nodes, in PEM."`
	TLSKey  string `name:"tls-key" type:"path" placeholder:"FILE" help:"Its key."`
	TLSCA   string `name:"tls-ca" type:"path" placeholder:"FILE" help:"Certificate of the authority that all nodes' certificates are of."`
}

func (f *nodeFlags) isNode() bool {
	return f.AZ != "" || f.ClusterAddr != "" || f.Advertise != "" || len(f.Join) > 0 || f.Init || f.NodeID != 0 || f.StaleReads || f.ZoneDelay != 0 || f.TLSCert != "" || f.TLSKey != "" || f.TLSCA != ""
}

// nodeOptions checks the flags.
func (f *nodeFlags) nodeOptions() (server.NodeOptions, error) {
	o := server.NodeOptions{Zone: f.AZ, Listen: f.ClusterAddr, Advertise: f.Advertise, Join: f.Join, Init: f.Init, Node: f.NodeID, StaleReads: f.StaleReads, ZoneDelay: f.ZoneDelay}
	if f.AZ == "" || f.ClusterAddr == "" {
		return o, errors.New("a node of a cluster needs --az and --cluster-addr")
	}
	for _, addr := range append([]string{f.ClusterAddr}, f.Join...) {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return o, fmt.Errorf("%s is not of the form HOST:PORT: %w", addr, err)
		}
	}
	if host, _, _ := net.SplitHostPort(f.ClusterAddr); f.Advertise == "" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			return o, fmt.Errorf("--cluster-addr %s does not say where others find this node; give --cluster-advertise", f.ClusterAddr)
		}
	}
	if f.TLSCert == "" && f.TLSKey == "" && f.TLSCA == "" {
		return o, nil
	}
	if f.TLSCert == "" || f.TLSKey == "" || f.TLSCA == "" {
		return o, errors.New("--tls-cert, --tls-key and --tls-ca belong together")
	}
	security, err := server.LoadTLS(f.TLSCert, f.TLSKey, f.TLSCA)
	o.TLS = security
	return o, err
}
