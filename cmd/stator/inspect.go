package main

import (
	"fmt"
	"os"

	"github.com/statordb/stator/server"
)

type inspectCommand struct {
	What string `arg:"" enum:"all,manifest,sst,sstable,vlog,wal,find,space,verify,compact,checkpoint" default:"all" help:"What to look at or do: ${enum}."`
	Name string `arg:"" optional:"" help:"One file of that kind, as the summary names it, such as 000001.sst; the key to find; or the new directory for a checkpoint."`
	Dir  string `type:"existingdir" predictor:"dir" default:"stator-data" help:"Directory of the closed database."`
}

func (c *inspectCommand) Run() error {
	switch c.What {
	case "sst":
		c.What = server.InspectTables
	case server.InspectAll, server.InspectSpace, server.InspectVerify:
		if c.Name != "" {
			return fmt.Errorf("%s: say of which kind it is: manifest, sstable, vlog or wal", c.Name)
		}
	case server.InspectFind:
		if c.Name == "" {
			return fmt.Errorf("find: say which key, as a listing of 'inspect wal' or 'inspect sstable' prints it")
		}
	case "compact":
		return server.Compact(c.Dir, os.Stdout)
	case "checkpoint":
		if c.Name == "" {
			return fmt.Errorf("checkpoint: say which directory to make")
		}
		return server.Checkpoint(c.Dir, c.Name)
	}
	return server.Inspect(c.Dir, os.Stdout, c.What, c.Name)
}
