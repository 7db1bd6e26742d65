// Package bench measures ordered stores side by side in one run.
//
// A figure is only worth something beside another one that was taken on the
// same machine in the same minutes, so every workload runs on every engine in
// turn, round after round, and the table prints ratios.
//
// Engines of other projects live in the module bench/peers; the cost of the
// HTTP edge is measured by the program bench/edge.
package bench
