package main

type simCommand struct {
	Bugs  simBugsCommand  `cmd:"" help:"Plant bugs one after the other, and measure how fast the simulator finds each."`
	Check simCheckCommand `cmd:"" help:"Check a history: is there an order of its operations that explains all answers?"`
}
