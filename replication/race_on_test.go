//go:build race

package replication

// underRace divides the number of seeds: the detector makes simulations
// fourteen times slower, and finds nothing in them, since they run one task at
// a time.
const underRace = 14
