// Command peers runs Stator's engine and other ordered stores through the same
// work in one process and prints ratios.
//
//	cd bench/peers && go run . [-entries 1000000] [-value 100] [-cache 64]
//
// It is a module of its own, so that the peers stay out of the product's
// go.mod.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/statordb/stator/bench"
)

func main() {
	var c bench.Config
	flag.IntVar(&c.Entries, "entries", 1_000_000, "entries of each engine")
	flag.IntVar(&c.Reads, "reads", 0, "operations of each read workload (default: entries)")
	flag.IntVar(&c.ValueSize, "value", 100, "bytes per value")
	cache := flag.Int64("cache", 256, "memory budget for caches in MiB")
	flag.StringVar(&c.Dir, "dir", "", "scratch directory")
	flag.Parse()
	c.CacheBytes = *cache << 20
	fmt.Printf("%s, %d CPUs, %d entries of %d+%d bytes, one thread; writes reach the page cache, no fsync\n",
		runtime.Version(), runtime.NumCPU(), c.Entries, bench.KeySize, c.ValueSize)
	if _, err := bench.Compare(os.Stdout, []bench.Opener{bench.Stator(), pebbleOpener()}, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
