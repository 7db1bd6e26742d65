package bench

// commits are single writes of which each is synced before the next one of the same
// writer. The database is opened again and read to see that they are there.
var commits = []Workload{
	{Name: "durable-1writer", Data: Empty, Order: Scattered, Durable: true, Ops: timesCommits(1), run: (*runner).fill},
	{Name: "durable-16writers", Data: Empty, Order: Scattered, Durable: true, Threads: 16, Ops: timesCommits(4), run: (*runner).fill},
	{Name: "durable-64writers", Data: Empty, Order: Scattered, Durable: true, Threads: 64, Ops: timesCommits(8), run: (*runner).fill},
}
