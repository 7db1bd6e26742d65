package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/statordb/stator/server"
)

type transferCommand struct {
	Group uint64 `arg:"" help:"Number of the group."`
	Node  uint64 `arg:"" help:"Number of the node that is to lead it; it has a replica."`
}

func (t *transferCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.ask(ctx, "TransferGroup", 0, server.AdminRequest{Group: t.Group, Node: t.Node}, nil)
}

type moveCommand struct {
	Group uint64 `arg:"" help:"Number of the group."`
	From  uint64 `arg:"" help:"Number of the node that gives its replica away."`
	To    uint64 `arg:"" help:"Number of the node that gets it, of a zone without another one."`
}

func (m *moveCommand) Run(ctx context.Context, c *commands) error {
	return c.Admin.ask(ctx, "MoveReplica", 0, server.AdminRequest{Group: m.Group, From: m.From, Node: m.To}, nil)
}

type splitCommand struct {
	What string `arg:"" help:"Number of a group, or name of a table, whose largest partition is split."`
	At   string `arg:"" optional:"" help:"Hash that the new partition begins with, such as 0x8000000000000000. Default: in the middle of the data."`
}

func (s *splitCommand) Run(ctx context.Context, c *commands) error {
	in, err := s.request()
	if err != nil {
		return err
	}
	var out server.AdminSplit
	if err := c.Admin.ask(ctx, "SplitGroup", 0, in, &out); err != nil {
		return err
	}
	_, err = fmt.Printf("group %d gave its upper hashes to group %d\n", out.Group, out.Child)
	return err
}

func (s *splitCommand) request() (in server.AdminRequest, err error) {
	if in.Group, err = strconv.ParseUint(s.What, 10, 64); err != nil {
		in.Group, in.Table = 0, s.What
	}
	if s.At == "" {
		return in, nil
	}
	if in.Hash, err = strconv.ParseUint(s.At, 0, 64); err != nil {
		return in, fmt.Errorf("hash %q: %w", s.At, err)
	}
	return in, nil
}
