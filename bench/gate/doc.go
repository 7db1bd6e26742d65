// Package gate decides whether one build is slower than another.
//
// Machines drift: within an hour by more than what a gate must see. So both builds run in turns,
// and the ratio of each pair of neighbouring runs is one observation (compare.go). Verdicts need the
// whole confidence interval of the median ratio, and a threshold; what neither
// clears nor condemns is called inconclusive. history.go finds changes in a row of
// results.
package gate
