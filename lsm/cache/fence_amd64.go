package cache

// loadsDone returns when all loads before it are done, as seen from a load after it.
// This processor does not let loads overtake loads, and the atomic load that
// follows keeps the compiler from doing so.
func loadsDone() {}
