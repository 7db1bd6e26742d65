package server

import (
	"fmt"

	"github.com/statordb/stator/table"
)

// An AdminSplit says what came of splitting a partition.
type AdminSplit struct {
	Group uint64 `json:"group"` // that was split
	Child uint64 `json:"child"` // that has the upper hashes now
}

// groupOperations are those that change groups. They are done by the node in charge.
func (s *Server) groupOperations() map[string]func(*AdminRequest) (any, error) {
	return map[string]func(*AdminRequest) (any, error){
		"TransferGroup": func(r *AdminRequest) (any, error) { return nil, s.tables.TransferGroup(r.Group, r.Node) },
		"MoveReplica":   func(r *AdminRequest) (any, error) { return nil, s.tables.MoveReplica(r.Group, r.From, r.Node) },
		"SplitGroup":    s.splitGroup,
	}
}

// splitGroup splits the group of the request, or the largest one of its table.
func (s *Server) splitGroup(r *AdminRequest) (any, error) {
	group := r.Group
	if group == 0 {
		var err error
		if group, err = s.largestGroup(r.Table); err != nil {
			return nil, err
		}
	}
	child, err := s.tables.SplitGroup(group, r.Hash)
	if err != nil {
		return nil, err
	}
	return &AdminSplit{Group: group, Child: child}, nil
}

// largestGroup returns the group of a table, not of its indexes, that has the most data.
func (s *Server) largestGroup(name string) (uint64, error) {
	var best table.GroupState
	for _, g := range s.tables.Groups() {
		if g.Table == name && g.Index == "" && name != "" && (best.ID == 0 || g.Bytes > best.Bytes) {
			best = g
		}
	}
	if best.ID == 0 {
		return 0, fmt.Errorf("server: no table %q", name)
	}
	return best.ID, nil
}
