package bench

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Config sizes a run. The zero value is a quick one. The tags make it the flags of a
// command that is parsed by kong.
type Config struct {
	Run     string   `json:"run" placeholder:"REGEXP" help:"Workloads to run, by regular expression; default all."`
	Engines []string `json:"engines" help:"Engines to run; default all. The first is what the others are compared with."`
	Rounds  int      `json:"rounds" default:"3" help:"How often each workload runs on each engine."`
	Dir     string   `json:"-" type:"path" help:"Scratch directory; default the system's."`
	JSON    string   `json:"-" type:"path" placeholder:"FILE" help:"Write all samples to a file, too."`

	Entries     int           `json:"entries" default:"200000" help:"Entries for fills, reads and scans."`
	ValueBytes  int           `json:"value_bytes" name:"value" default:"100" help:"Bytes of a value, half of which compress away. Keys have 16."`
	Records     int           `json:"records" help:"Records for YCSB; default a fifth of the entries."`
	RecordBytes int           `json:"record_bytes" name:"record" default:"1024" help:"Bytes of a record."`
	Reads       int           `json:"reads" help:"Reads of a sample; default as many as entries. Seeks are a fifth or a twentieth, YCSB operations a fifth."`
	Commits     int           `json:"commits" default:"1000" help:"Durable commits of a sample with one writer; with 16 or 64 there are 4 or 8 times as many."`
	Limit       time.Duration `json:"limit" default:"20s" help:"What takes longer is stopped and judged by what it did."`
	MemoryBytes int64         `json:"memory_bytes" name:"memory" default:"268435456" help:"Memory for caches in bytes; write buffers have 64 MiB on top."`
	Shape       Shape         `json:"shape" enum:"counter,hashed,decimal,random" default:"counter" help:"Keys: counter (8-byte prefix and big-endian number), hashed (the same with a hash), decimal (16 digits), random (16 bytes)."`
	Compression Compression   `json:"compression" enum:"none,fast" default:"fast" help:"fast is Snappy or S2, where an engine can compress; or none."`

	Profile string `json:"profile,omitempty" type:"path" placeholder:"DIR" help:"Write a CPU profile of each sample into this directory, for go tool pprof."`

	Worker string `json:"-" hidden:"" help:"Be the process of this engine, for the run that started it."`
}

func (c Config) withDefaults() Config {
	c.Rounds = cmp.Or(c.Rounds, 3)
	c.Entries = cmp.Or(c.Entries, 200_000)
	c.ValueBytes = cmp.Or(c.ValueBytes, 100)
	c.Records = cmp.Or(c.Records, max(2, c.Entries/5))
	c.RecordBytes = cmp.Or(c.RecordBytes, 1024)
	c.Reads = cmp.Or(c.Reads, c.Entries)
	c.Commits = cmp.Or(c.Commits, 1000)
	c.Limit = cmp.Or(c.Limit, 20*time.Second)
	c.MemoryBytes = cmp.Or(c.MemoryBytes, 256<<20)
	c.Shape = cmp.Or(c.Shape, Counter)
	c.Compression = cmp.Or(c.Compression, Fast)
	return c
}

func (c Config) check() error {
	switch {
	case min(c.Rounds, c.Reads, c.Commits) < 1 || min(c.Entries, c.Records) < 2:
		return fmt.Errorf("there is nothing to measure with %d rounds, %d entries, %d records, %d reads, %d commits",
			c.Rounds, c.Entries, c.Records, c.Reads, c.Commits)
	case c.Rounds > maxPasses:
		return fmt.Errorf("%d rounds are more than %d, which overwritten values can count", c.Rounds, maxPasses)
	case min(c.ValueBytes, c.RecordBytes) < minValueBytes:
		return fmt.Errorf("values need %d bytes, so that they can be checked", minValueBytes)
	case c.Compression != Fast && c.Compression != Uncompressed:
		return fmt.Errorf("unknown class of compression %q", c.Compression)
	}
	return c.Shape.check()
}

// Args are the flags that say the same, for a program that parses them with kong.
func (c Config) Args() []string {
	c = c.withDefaults()
	args := []string{
		fmt.Sprint("--rounds=", c.Rounds), fmt.Sprint("--entries=", c.Entries), fmt.Sprint("--value=", c.ValueBytes),
		fmt.Sprint("--records=", c.Records), fmt.Sprint("--record=", c.RecordBytes), fmt.Sprint("--reads=", c.Reads),
		fmt.Sprint("--commits=", c.Commits), fmt.Sprint("--limit=", c.Limit), fmt.Sprint("--memory=", c.MemoryBytes),
		fmt.Sprint("--shape=", c.Shape), fmt.Sprint("--compression=", c.Compression),
	}
	for _, f := range []struct{ name, value string }{
		{"run", c.Run}, {"engines", strings.Join(c.Engines, ",")}, {"dir", c.Dir}, {"json", c.JSON}, {"profile", c.Profile}, {"worker", c.Worker},
	} {
		if f.value != "" {
			args = append(args, "--"+f.name+"="+f.value)
		}
	}
	return args
}
