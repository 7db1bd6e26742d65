package capacity

// An IndexChange is what a write of a base item does to its entry in one
// secondary index. The zero IndexChange is no change.
type IndexChange byte

const (
	IndexUntouched IndexChange = iota // no entry before and after, or the same one
	IndexAdded                        // the item enters the index
	IndexRemoved                      // the item leaves the index
	IndexUpdated                      // same index keys, other projected attributes
	IndexMoved                        // other index keys: one entry deleted, one put
)

// Units returns the WCU of the change. Sizes are those of the entry before and
// after: projected attributes and all keys. Where there is no entry the size
// is ignored.
func (c IndexChange) Units(oldSize, newSize int) float64 {
	switch c {
	case IndexAdded:
		return WriteUnits(0, newSize)
	case IndexRemoved:
		return WriteUnits(oldSize, 0)
	case IndexUpdated:
		return WriteUnits(oldSize, newSize)
	case IndexMoved:
		return WriteUnits(oldSize, 0) + WriteUnits(0, newSize)
	}
	return 0
}
