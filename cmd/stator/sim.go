package main

type simCommand struct {
	Run    simRunCommand    `cmd:"" default:"withargs" help:"Run seeds: worlds with nodes, clients and faults, and check what the clients saw."`
	Replay simReplayCommand `cmd:"" help:"Run one seed or plan again, and write down what happened."`
	Shrink simShrinkCommand `cmd:"" help:"Make the plan of a seed that fails smaller while it fails."`
	List   simListCommand   `cmd:"" help:"List the kinds of faults, and the loads."`
	Bugs   simBugsCommand   `cmd:"" help:"Plant bugs one after the other, and measure how fast the simulator finds each."`
	Check  simCheckCommand  `cmd:"" help:"Check a history: is there an order of its operations that explains all answers?"`
}
