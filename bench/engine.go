package bench

// An Engine is an ordered store under measurement. The loader calls it from
// one goroutine at a time unless a workload says otherwise.
type Engine interface {
	Set(key, value []byte) error // survives a killed process, not a power cut
	Get(key, dst []byte) (value []byte, found bool, err error)
	// Scan visits up to n entries from key on and returns how many there were.
	Scan(key []byte, n int, visit func(key, value []byte)) (int, error)
	// Settle flushes and lets compactions finish.
	Settle() error
	Close() error
}

// An Opener makes a fresh engine in an empty directory.
type Opener struct {
	Name string
	Open func(dir string, cacheBytes int64) (Engine, error)
}
