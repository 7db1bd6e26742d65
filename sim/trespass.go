package sim

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/partition"
	"github.com/statordb/stator/txn"
)

// Whoever has an old map of a table asks a partition for what it has no more. It must say so: it may well
// see the rows, since those of its parts lie in the same store, and nothing tells how old they are. That somebody has
// such a map, asks at the right moment, and that the part's replica lags just there, is three things at once; so each
// partition is asked now and then, as such a node would.

// foreignKeys is how many keys are tried; those that the partition has do not count.
const foreignKeys = 6

// trespass checks that a partition refuses to answer for hashes that it does not have.
func (c *convergence) trespass(s *server, group uint64) error {
	p := s.tables.Replica(group)
	if p == nil || p.Err() != nil {
		return nil
	}
	config := p.Config()
	for _, key := range c.keysFor(config) {
		if config = p.Config(); config == nil || config.Owns(key.hash) { // it does not get others: partitions are not merged
			continue
		}
		for _, ask := range foreignQuestions {
			if err := ask.of(p, key.row, key.hash); !errors.Is(err, partition.ErrWrongPartition) {
				return fmt.Errorf("sim: group %d on %s, which has the hashes [%#x, %#x], answers a %s of hash %#x with %v",
					group, s.n.name, config.First, config.Last, ask.name, key.hash, err)
			}
		}
	}
	return nil
}

// A foreignKey is a key that is tried.
type foreignKey struct {
	row  []byte
	hash uint64
}

// keysFor makes the keys to try for a configuration, once.
func (c *convergence) keysFor(config *partition.Config) []foreignKey {
	if config == nil || config.Entries || config.Schema.Hash.Type != item.S || config.Schema.HasSort() && config.Schema.Sort.Type != item.S {
		return nil
	}
	keys, made := c.keys[config]
	if made {
		return keys
	}
	for i := range foreignKeys {
		key := map[string]item.Value{config.Schema.Hash.Name: item.String(fmt.Sprint("p", i))}
		if config.Schema.HasSort() {
			key[config.Schema.Sort.Name] = item.String("s0")
		}
		row := config.Schema.AppendRowKey(nil, item.NewItem(key))
		keys = append(keys, foreignKey{row, partition.RowHash(row)})
	}
	c.keys[config] = keys
	return keys
}

// foreignQuestions are the reads that nodes ask each other's partitions for.
var foreignQuestions = []struct {
	name string
	of   func(p *partition.Partition, row []byte, hash uint64) error
}{
	{"get", func(p *partition.Partition, row []byte, _ uint64) error {
		_, err := p.Get(row)
		return err
	}},
	{"read of items", func(p *partition.Partition, row []byte, _ uint64) error {
		_, err := p.ReadItems([][]byte{row}, false)
		return err
	}},
	{"read of versions", func(p *partition.Partition, row []byte, _ uint64) error {
		_, err := p.ReadItems([][]byte{row}, true)
		return err
	}},
	{"page", func(p *partition.Partition, row []byte, _ uint64) error {
		_, err := p.Page(&partition.PageRequest{Lower: row, Upper: append(bytes.Clone(row), 0), Limit: 1, Consistent: true})
		return err
	}},
	{"vote", func(p *partition.Partition, _ []byte, hash uint64) error {
		_, err := p.VoteAt(txn.ID{Node: 1, Born: 1}, []uint64{hash})
		return err
	}},
}
