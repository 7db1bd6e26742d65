// Package sim runs a whole Stator node in a simulated world, with clients,
// crashes and a failing disk, and checks that what the clients saw can be
// explained.
//
// One seed decides everything: the order of tasks, the clients' operations,
// the faults, what a power cut leaves of the disk. Run with the same seed does
// the same again, to the same Hash.
//
// To look into a seed:
//
//	go test ./sim -run TestSeeds -sim.seed=42 -sim.seeds=1 -v -sim.trace=trace.txt -sim.html=page.html
//
// Reading order: run.go (the story), config.go (what the seed chooses), server.go
// (the node under test), client.go with request.go and churn.go (the workload),
// nemesis.go and rot.go (the faults), history.go and model.go (the verdict).
package sim
