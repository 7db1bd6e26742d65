// Package suite joins the parts of a measurement: it finds workloads, opens targets, runs
// rounds in turns and collects samples. It is the command "run" of stator and of the
// program in bench/peers, which has more engines.
//
// Reading order: workloads.go (the files that come with it), run.go (rounds), flags.go
// (the command), report.go (what is made of a result), progress.go.
package suite
