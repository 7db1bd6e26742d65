// Package drive loads a target with operations and measures how long they take.
//
// What is done is said by a workload (file.go), which users write as a file. A
// plan draws its operations (plan.go: which keys, which sizes, what is done). A
// pace says when each is due (pace.go): at once, or at times that were fixed
// before the target had a chance to answer late. Latency counts from then on.
// So a target that stalls makes every operation late that was due meanwhile, as
// users would see it; a harness that waits for an answer before it sends the
// next request omits just those ("coordinated omission", a term of Gil Tene).
//
// The loop (loop.go) is the part that costs: it allocates nothing and adds
// less than 100 ns to an operation. Each worker records into histograms of its own
// (record.go, tally.go), which are merged at the end.
//
// Reading order: file.go, plan.go, pace.go, wait.go, loop.go, record.go, run.go (warm-up,
// steady state), peak.go (the highest rate that keeps a bound).
package drive
