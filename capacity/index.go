package capacity

// An IndexChange is what a write of a base item does to its entry in one
// secondary index. Sizes are those of the entry, projected attributes and all
// keys; they are looked at only where there is such an entry.
type IndexChange struct {
	OldEntry, NewEntry bool // whether the entry exists before, after
	OldSize, NewSize   int  // bytes
	Moved              bool // both exist, with different index keys
	Changed            bool // both exist with the same keys and differ in a projected attribute
}

// Units returns the WCU of the change. An entry that moves is deleted and put,
// and both are charged; one that is not touched is free.
func (c IndexChange) Units() float64 {
	switch {
	case c.OldEntry && c.NewEntry && c.Moved:
		return WriteUnits(c.OldSize, 0) + WriteUnits(0, c.NewSize)
	case c.OldEntry && c.NewEntry && !c.Changed:
		return 0
	case c.OldEntry && c.NewEntry:
		return WriteUnits(c.OldSize, c.NewSize)
	case c.OldEntry:
		return WriteUnits(c.OldSize, 0)
	case c.NewEntry:
		return WriteUnits(0, c.NewSize)
	}
	return 0
}
