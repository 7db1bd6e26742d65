// Package sim runs a whole Stator node in a simulated world, with clients,
// crashes and a failing disk, and checks that what the clients saw can be
// explained.
//
// One seed decides everything: the order of tasks, the clients' operations,
// the faults, what a power cut leaves of the disk. Run with the same seed does
// the same again, to the same Hash.
//
// Reading order: run.go, server.go (the node under test), client.go (the
// workload), nemesis.go (the faults), history.go and model.go (the verdict).
package sim
