//go:build !race

package replication

const underRace = 1
