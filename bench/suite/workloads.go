package suite

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/statordb/stator/bench/drive"
)

//go:embed workloads/*.json
var files embed.FS

// Sets are names for several workloads.
var Sets = map[string][]string{
	"dbbench": {"fillseq", "fillrandom", "fillsync", "fillsync-16", "overwrite", "readrandom", "readmissing", "readhot", "seekrandom", "scan-1000",
		"readwhilewriting", "deleterandom", "filter-1"},
	"ycsb":        {"ycsb-a", "ycsb-b", "ycsb-c", "ycsb-d", "ycsb-e", "ycsb-f"},
	"dynamodb":    {"ddb-*"},
	"replication": {"repl-*"},                                                                              // of cluster-1 and cluster-3
	"transact":    {"tx-*"},                                                                                // of cluster-3@1ms
	"failover":    {"failover-*"},                                                                          // of cluster-3
	"simulator":   {"sim-*"},                                                                               // of simulator
	"quick":       {"fillrandom", "readrandom", "readmissing", "seekrandom", "readwhilewriting", "ycsb-a"}, // of an engine
	"gate":        {"fillrandom", "readrandom", "seekrandom"},
}

// Names returns the workloads that come with the program.
func Names() []string {
	entries, err := fs.ReadDir(files, "workloads")
	if err != nil { // the directory is part of the program
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

// Find returns the workloads that the arguments name, each once: files (with a slash or .json in the name),
// patterns as in "ycsb-*" of those that come with the program, or sets.
func Find(args []string) ([]*drive.Workload, error) {
	var found []*drive.Workload
	for _, a := range args {
		some, err := find(a)
		if err != nil {
			return nil, err
		}
		for _, w := range some {
			if !slices.ContainsFunc(found, func(f *drive.Workload) bool { return f.Name == w.Name }) {
				found = append(found, w)
			}
		}
	}
	return found, nil
}

func find(arg string) ([]*drive.Workload, error) {
	if set := Sets[arg]; set != nil {
		return Find(set)
	}
	if strings.HasSuffix(arg, ".json") || strings.ContainsRune(arg, '/') {
		text, err := os.ReadFile(arg)
		if err != nil {
			return nil, err
		}
		w, err := drive.Parse(arg, text)
		return []*drive.Workload{w}, err
	}
	var found []*drive.Workload
	for _, name := range Names() {
		ok, err := path.Match(arg, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		if !ok {
			continue
		}
		text, err := Text(name)
		if err != nil {
			return nil, err
		}
		w, err := drive.Parse(name+".json", text)
		if err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	if found == nil {
		return nil, fmt.Errorf("no workload %q: \"stator bench list\" shows those there are; a file needs a name that ends in .json", arg)
	}
	return found, nil
}

// Text is the file of a workload that comes with the program.
func Text(name string) ([]byte, error) { return files.ReadFile("workloads/" + name + ".json") }
