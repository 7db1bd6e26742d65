package main

type simCommand struct {
	Bugs simBugsCommand `cmd:"" help:"Plant bugs one after the other, and measure how fast the simulator finds each."`
}
