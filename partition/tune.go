package partition

// Tune changes sizes, for simulators: in production no run would come to the end of
// what a group remembers, or send a copy in more than one chunk. It holds for the whole
// process, and must be the same at all replicas for as long as they live.
//
// requests is of how many log entries a group remembers the requests, at least 4;
// attributes how many bytes of the attributes that a request answered with; chunkBytes is how much of
// a copy is in a chunk. 0 is the default. The returned function
// takes it back.
func Tune(requests, attributes, chunkBytes int) (restore func()) {
	records, shown, chunk := windowRecords, windowAttributes, copyChunkBytes
	if requests > 0 {
		windowRecords = uint64(requests)
	}
	if attributes > 0 {
		windowAttributes = attributes
	}
	if chunkBytes > 0 {
		copyChunkBytes = chunkBytes
	}
	return func() { windowRecords, windowAttributes, copyChunkBytes = records, shown, chunk }
}
