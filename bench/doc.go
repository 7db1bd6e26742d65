// Package bench measures ordered stores side by side in one run.
//
// A figure is only worth something beside another one that was taken on the
// same machine in the same minutes. So every workload runs on every engine in
// turn, round after round, and the table prints ratios: the median over the
// rounds of what an engine took to what the first one took in that round.
//
// Every engine lives in a process of its own, which is stopped while the others
// are measured: its collector and compactions can disturb nobody, and CPU time,
// resident memory and bytes written are its own. It loads a data set once and
// answers all workloads on it.
//
// Every value read is checked against what was written (value.go), every scan
// for its order, too. An engine that loses or invents a value gets no figure.
//
// Reading order: engine.go (what is measured), workload.go and the families of
// workloads (fill.go, read.go, scan.go, filter.go, commit.go, mixed.go, ycsb.go, space.go),
// key.go, value.go, choose.go and dataset.go (keys, values and who is asked for),
// runner.go and measure.go (one workload on one engine), worker.go (the
// process), compare.go and report.go (rounds and ratios).
//
// Engines of other projects live in the module bench/peers; the cost of the
// HTTP edge is measured by the program bench/edge.
package bench
