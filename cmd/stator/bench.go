package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/statordb/stator/bench"
)

type benchCommand struct {
	Run     benchRunCommand     `cmd:"" help:"Measure what workload files say, on engines, the database or any DynamoDB endpoint."`
	List    benchListCommand    `cmd:"" help:"List the workloads that come with the program, or print one."`
	Report  benchReportCommand  `cmd:"" help:"Make tables, pages and files for other tools of results."`
	Compare benchCompareCommand `cmd:"" help:"Judge one result by another. Exit codes: 0 same or better, 3 regression, 4 inconclusive."`
	Gate    benchGateCommand    `cmd:"" help:"Build this tree and another commit, run both in turns and judge. Exit codes as of compare."`
	History benchHistoryCommand `cmd:"" help:"Find changes in a folder of results. Exit code 3 if a regression stands."`
	Schema  benchSchemaCommand  `cmd:"" help:"Print the JSON Schema of results."`
	Engine  benchEngineCommand  `cmd:"" help:"Measure the storage engine by its own workloads, with --peers beside other engines."`
}

type benchEngineCommand struct {
	bench.Config

	Peers  bool   `help:"Measure other engines, too. They are in a module of their own, so this needs Go and the source of stator."`
	Source string `type:"existingdir" default:"." help:"Where the source is: its root or any directory below."`
	Tags   string `help:"Build tags for --peers: rocksdb, lmdb or both with a comma. They need cgo and the libraries."`
}

func (c *benchEngineCommand) Run(ctx context.Context) error {
	if c.Peers {
		return c.runPeers(ctx)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return bench.Run(ctx, os.Stdout, os.Stderr, []string{self, "bench", "engine"}, []bench.Opener{bench.Stator()}, c.Config)
}

// runPeers builds the program of the peers' module and lets it do the work.
func (c *benchEngineCommand) runPeers(ctx context.Context) error {
	return withPeers(ctx, c.Source, c.Tags, c.Config.Args())
}

// withPeers builds the program of the peers' module from the source around the directory and runs it.
func withPeers(ctx context.Context, source, tags string, args []string) error {
	dir, err := peersDir(source)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "stator-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	program := filepath.Join(tmp, "peers")
	build := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", program, ".")
	build.Dir, build.Stdout, build.Stderr = dir, os.Stderr, os.Stderr
	if err := build.Run(); errors.Is(err, exec.ErrNotFound) {
		return errors.New("peers are built from source, but there is no go command: install Go, or run without them")
	} else if err != nil {
		return fmt.Errorf("build %s: %w", dir, err)
	}
	run := exec.CommandContext(ctx, program, args...)
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	return run.Run()
}

// peersDir finds the peers' module in the source tree around start.
func peersDir(start string) (string, error) {
	at, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		dir := filepath.Join(at, "bench", "peers")
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if first, _, _ := strings.Cut(string(data), "\n"); err == nil && strings.TrimSpace(first) == "module github.com/statordb/stator/bench/peers" {
			return dir, nil
		}
		parent := filepath.Dir(at)
		if parent == at {
			return "", fmt.Errorf("peers need the source of stator, which is not around %s: get it and name it with --source, or run without them", start)
		}
		at = parent
	}
}
