// Package sim runs a whole Stator node in a simulated world, with clients,
// crashes and a failing disk, and checks that what the clients saw can be
// explained.
//
// A run is a plan: data that says which nodes there are, what goes wrong when, and
// what each client asks for. A seed draws a plan; running a plan draws nothing but
// what it fixes. So the same seed does the same again, to the same Hash, and a plan can
// be edited, made smaller and kept.
//
// To look into a seed:
//
//	go test ./sim -run TestSeeds -sim.seed=42 -sim.seeds=1 -v -sim.trace=trace.txt -sim.html=page.html
//
// Reading order: plan.go (what a run is), draw.go and knobs.go (what a seed chooses),
// run.go (the story), node.go and server.go (the nodes under test), client.go with
// request.go, churn.go and expiry.go (the workload), nemesis.go, target.go and
// fault_*.go (the faults), history.go, applied.go, witness.go,
// search.go and model.go (the verdict).
package sim
