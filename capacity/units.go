package capacity

const (
	readUnitBytes  = 4096 // what one strongly consistent RCU reads
	writeUnitBytes = 1024 // what one WCU writes
)

// ReadUnits returns the RCU of reading size bytes: an item, or all the items
// that a Query or Scan read for one page, which are rounded up once, together,
// and before any filter or projection. A missing item has size 0. Consistent
// reads cost twice as much as eventually consistent ones.
func ReadUnits(size int, consistent bool) float64 {
	units := roundUp(size, readUnitBytes)
	if consistent {
		return units
	}
	return units / 2
}

// TransactReadUnits returns the RCU of reading one item of size bytes in a
// transaction.
func TransactReadUnits(size int) float64 {
	return 2 * ReadUnits(size, true)
}

// WriteUnits returns the WCU of one write, put, update or delete: the larger
// one of the item before and after counts, 0 where there is none. A failed
// condition costs the write of the item that it failed on: WriteUnits(old, 0).
func WriteUnits(oldSize, newSize int) float64 {
	return roundUp(max(oldSize, newSize), writeUnitBytes)
}

// TransactWriteUnits returns the WCU of one action of a transaction, condition
// checks included.
func TransactWriteUnits(oldSize, newSize int) float64 {
	return 2 * WriteUnits(oldSize, newSize)
}

// roundUp returns how many units of the given size hold size bytes, at least one.
func roundUp(size, unit int) float64 {
	return float64(max(1, (size+unit-1)/unit))
}
