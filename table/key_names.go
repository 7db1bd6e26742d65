package table

import "github.com/statordb/stator/partition"

// KeyNames are the key attributes of a table or index, in order.
type KeyNames struct {
	Hash  []string // one; up to four of a global index
	Range []string // none or one; up to four of a global index
}

// KeyNames returns the key of a table or, unless index is "", of one of its
// indexes: what a statement must mention to read less than everything, or to
// name one item.
//
// Errors: *NotFoundError, *ValidationError.
func (s *Service) KeyNames(table, index string) (*KeyNames, error) {
	t, err := s.lookup(table)
	if err != nil {
		return nil, err
	}
	k, err := t.target(index, false)
	if err != nil {
		return nil, err
	}
	return &KeyNames{namesOf(k.hashes), namesOf(k.ranges)}, nil
}

func namesOf(keys []partition.Key) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	return names
}
