package bench

// ycsb are the core workloads of Cooper et al., "Benchmarking Cloud Serving Systems
// with YCSB", SoCC '10, on records of 1 KB, with two threads.
var ycsb = []Workload{
	{Name: "writeamp-1k", Data: Records, Unit: TimesRaw, run: (*runner).writeAmplification},
	{Name: "space-1k", Data: Records, Unit: TimesRaw, run: (*runner).space},
	{Name: "ycsb-a", Data: Records, Threads: 2, Chooser: Zipfian, Mix: Mix{Read: 50, Update: 50}, Ops: perReads(5), run: (*runner).operate},
	{Name: "ycsb-b", Data: Records, Threads: 2, Chooser: Zipfian, Mix: Mix{Read: 95, Update: 5}, Ops: perReads(5), run: (*runner).operate},
	{Name: "ycsb-c", Data: Records, Threads: 2, Chooser: Zipfian, Mix: Mix{Read: 100}, Ops: perReads(5), run: (*runner).operate},
	{Name: "ycsb-d", Data: Records, Threads: 2, Chooser: Latest, Mix: Mix{Read: 95, Insert: 5}, Ops: perReads(5), run: (*runner).operate},
	{Name: "ycsb-e", Data: Records, Threads: 2, Chooser: Zipfian, Mix: Mix{Scan: 95, Insert: 5}, Ops: perReads(20), run: (*runner).operate},
	{Name: "ycsb-f", Data: Records, Threads: 2, Chooser: Zipfian, Mix: Mix{Read: 50, Modify: 50}, Ops: perReads(5), run: (*runner).operate},
}
