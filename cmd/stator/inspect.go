package main

import (
	"fmt"
	"os"

	"github.com/statordb/stator/server"
)

type inspectCommand struct {
	What string `arg:"" enum:"all,manifest,sstable,vlog,wal" default:"all" help:"What to look at: ${enum}."`
	Name string `arg:"" optional:"" help:"One file of that kind, as the summary names it, without its directory."`
	Dir  string `type:"existingdir" predictor:"dir" default:"stator-data" help:"Directory of the closed database."`
}

func (c *inspectCommand) Run() error {
	if c.What == server.InspectAll && c.Name != "" {
		return fmt.Errorf("%s: say of which kind it is: manifest, sstable, vlog or wal", c.Name)
	}
	return server.Inspect(c.Dir, os.Stdout, c.What, c.Name)
}
