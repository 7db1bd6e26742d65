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
// It is a module of its own, so that the peers stay out of the product's go.mod.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/statordb/stator/bench"
)

// openers are all engines that are built in. Files with build tags add theirs.
var openers = []bench.Opener{bench.Stator(), pebbleOpener(), badgerOpener(), goleveldbOpener(), bboltOpener()}

func main() {
	var c bench.Config
	kong.Parse(&c, kong.Name("peers"), kong.Description("Measure ordered stores side by side."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
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
