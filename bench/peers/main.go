// Command peers runs Stator's engine and other ordered stores through the same
// work and prints ratios. See package bench for how.
//
//	cd bench/peers && go run . --entries 1000000 [--run REGEXP] [--engines stator,pebble]
//
// RocksDB and LMDB need cgo and their libraries (Debian: librocksdb-dev,
// liblmdb-dev), so they stand behind build tags:
//
//	go run -tags rocksdb,lmdb .
//
// With the word run in front it measures what workload files say, as "stator bench run" does:
//
//	go run . run readrandom --target stator,pebble
//
// It is a module of its own, so that the peers stay out of the product's go.mod.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/suite"
)

// openers are all engines that are built in. Files with build tags add theirs.
var openers = []bench.Opener{bench.Stator(), pebbleOpener(), badgerOpener(), goleveldbOpener(), bboltOpener()}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		runWorkloads(os.Args[2:])
		return
	}
	var c bench.Config
	kong.Parse(&c, kong.Name("peers"), kong.Description("Measure ordered stores side by side."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// runWorkloads is the command run. It ends as that of stator does.
func runWorkloads(args []string) {
	var f suite.Flags
	parser := kong.Must(&f, kong.Name("peers run"), kong.Description("Measure what workload files say."))
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if self, err := os.Executable(); err == nil { // else all rounds run in this process
		f.Tools.Self = []string{self, "run"}
	}
	if err := f.Run(ctx, os.Stdout, os.Stderr, openers); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		var usage *suite.UsageError
		if errors.As(err, &usage) {
			os.Exit(usage.ExitCode())
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, c bench.Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return bench.Run(ctx, os.Stdout, os.Stderr, []string{self}, openers, c)
}
