package partition

import "github.com/statordb/stator/txn"

// A State is what a partition tells of itself, for counters, upkeep and splits.
type State struct {
	// Version of the configuration; 0 = there is none yet. Its hashes are
	// [First, Last].
	Version     uint64
	First, Last uint64
	Stats       Stats
	Local       []Stats // of the local indexes, by their number - 1
	Sequence    uint64  // of the latest change record
	Trimmed     uint64  // change records up to this one are gone
	ChangeBytes int64   // of all change records written since Open
	Latest      txn.Timestamp
	Heat        Heat
}

// State returns what the partition is now. Its parts may be of neighbouring log
// entries.
func (p *Partition) State() *State {
	s := &State{
		Stats: p.Stats(), Sequence: p.Sequence(), Trimmed: p.Trimmed(), ChangeBytes: p.ChangeBytes(),
		Latest: p.Latest(), Heat: p.Heat(),
	}
	if c := p.Config(); c != nil {
		s.Version, s.First, s.Last = c.Version, c.First, c.Last
	}
	if local := p.local.Load(); local != nil {
		s.Local = *local
	}
	return s
}

// Size returns State.Size of what the partition is now.
func (p *Partition) Size() int64 {
	size := p.bytes.Load()
	if local := p.local.Load(); local != nil {
		for _, l := range *local {
			size += l.Bytes
		}
	}
	return size
}

// Size returns about how many bytes of data the partition has: items or entries,
// and the entries of local indexes.
func (s *State) Size() int64 {
	size := s.Stats.Bytes
	for _, l := range s.Local {
		size += l.Bytes
	}
	return size
}
