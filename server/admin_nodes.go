package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// addNodeOperations adds those that change which nodes there are. They are done by
// the node in charge.
func (s *Server) addNodeOperations() {
	on := func(f func(id uint64) error) func(*AdminRequest) (any, error) {
		return func(r *AdminRequest) (any, error) {
			if r.Node == 0 {
				return nil, fmt.Errorf("server: no node given")
			}
			if err := f(r.Node); err != nil {
				return nil, err
			}
			return s.status(), nil
		}
	}
	s.local["Drain"] = on(s.tables.DrainNode)
	s.local["Activate"] = on(s.tables.ActivateNode)
	s.local["Remove"] = func(r *AdminRequest) (any, error) {
		remove := s.tables.RemoveNode
		if r.Force {
			remove = s.tables.ForgetNode
		}
		return on(remove)(r)
	}
	s.local["Move"] = func(r *AdminRequest) (any, error) {
		return nil, s.tables.MoveAddress(r.Node, r.Address)
	}
	s.local["Join"] = func(r *AdminRequest) (any, error) {
		token, err := strconv.ParseUint(r.Token, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("server: token %q", r.Token)
		}
		return s.tables.JoinNode(r.Zone, r.Address, token)
	}
}

// takeIn has the node in charge give a new node a number.
func (n *Node) takeIn(p placed) (uint64, error) {
	out, err := n.adminOn("Join", &AdminRequest{Zone: p.Zone, Address: p.Address, Token: p.Token})
	if err != nil {
		return 0, err
	}
	var m table.Member
	if err := json.Unmarshal(out.AppendJSON(nil), &m); err != nil {
		return 0, fmt.Errorf("server: answer to a node that joins: %w", err)
	}
	return m.ID, nil
}

// tellAddress tells the others where this node is now. It is a greeting because their
// answers to calls would go to where it was.
func (n *Node) tellAddress(ctx context.Context, security *tls.Config) {
	self := placed{Node: n.identity.Node, Zone: n.cluster.Zone, Address: n.cluster.Address, Token: n.identity.Token}
	for _, m := range n.tables.Members() {
		if m.ID == n.identity.Node || m.State == "gone" {
			continue
		}
		r, err := greetOver(security)(ctx, m.Address, greeting{placed: self, Moved: n.identity.Cluster})
		switch {
		case err == nil && r.Error == "":
			return
		case err == nil:
			err = errors.New(r.Error)
		}
		n.log.Warn("cluster: the others do not know this node's address yet", "addr", n.cluster.Address, "asked", m.Address, "error", err)
	}
}

// moveNode has the node in charge note where another node is now.
func (n *Node) moveNode(p placed) error {
	n.mu.Lock()
	n.moved[p.Node] = p.Address
	n.mu.Unlock()
	n.net.SetPeer(transport.NodeID(p.Node), p.Address) // the node in charge may be that one
	_, err := n.adminOn("Move", &AdminRequest{Node: p.Node, Address: p.Address})
	return err
}

func (n *Node) adminOn(name string, r *AdminRequest) (api.Output, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return n.admin(name, body)
}
