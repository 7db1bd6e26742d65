package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// lateIndex is a global index that the churner adds to its tables when they have
// rows, and takes away again.
const lateIndex = "late"

// reindex adds the late index to a table that has rows, or deletes it.
func (c *churner) reindex(name string) {
	split, half := c.rng.IntN(2) == 0, c.rng.Uint64()
	answered, err := c.ask("reindex", func(s *server) error {
		d, err := s.tables.Describe(name)
		if err != nil {
			return err
		}
		r := table.UpdateTableRequest{Table: name}
		if hasIndex(d, lateIndex) {
			r.DeleteIndexes = []string{lateIndex}
		} else {
			r.Attributes = []table.AttributeDefinition{{Name: "v", Type: item.S}, {Name: "s", Type: item.S}}
			r.CreateIndexes = []table.IndexDefinition{{
				Name: lateIndex, Keys: []table.KeyElement{{Name: "s", Role: table.Hash}, {Name: "v", Role: table.Range}},
				Projection: &table.Projection{Type: "KEYS_ONLY"},
			}}
		}
		_, err = s.tables.Update(r)
		return err
	})
	var busy *table.InUseError
	var limit *table.LimitError
	var gone *table.NotFoundError // the builder has just finished to delete the index
	if answered && !errors.As(err, &busy) && !errors.As(err, &limit) && !errors.As(err, &gone) {
		c.run.judge(err)
	}
	if answered && err == nil && split {
		c.split(name, half)
	}
}

// split divides a partition of a table, anywhere in it, while an index of it is built or goes. Whether that works is
// nobody's business here.
func (c *churner) split(name string, dice uint64) {
	_, _ = c.ask("split", func(s *server) error {
		var parts []table.GroupState
		for _, g := range s.tables.Layout() {
			if g.Table == name && g.Index == "" {
				parts = append(parts, g)
			}
		}
		if len(parts) == 0 || len(parts) >= maxChurnParts {
			return nil
		}
		g := parts[dice%uint64(len(parts))]
		_, err := s.tables.SplitGroup(g.ID, g.First+1+dice%(g.Last-g.First))
		return err
	})
}

// maxChurnParts bounds the partitions of such a table.
const maxChurnParts = 5

func hasIndex(d *table.Description, name string) bool {
	return slices.ContainsFunc(d.GlobalIndexes, func(x table.IndexDefinition) bool { return x.Name == name })
}

// checkIndex waits until the late index of a table, to which nobody writes now, is
// active and compares it with the table.
func (c *churner) checkIndex(name string) {
	var wrong error
	answered, err := c.ask("check late index", func(s *server) (err error) {
		wrong, err = s.checkLate(name)
		return err
	})
	var missing *table.NotFoundError
	switch {
	case !answered:
	case err != nil && !errors.As(err, &missing):
		c.run.judge(err)
	case wrong != nil:
		c.run.fail(found(Mirror, fmt.Errorf("sim: table %s: %w", name, wrong)))
	}
}

// checkLate returns what is wrong with the late index, if there is one.
func (s *server) checkLate(name string) (wrong, err error) {
	limit := s.n.run.indexLimit()
	deadline := s.e.Now().Add(limit)
	for {
		if s.n.full {
			deadline = s.e.Now().Add(limit) // stores and indexes try again after up to a second each
		}
		d, err := s.tables.Describe(name)
		if err != nil || !hasIndex(d, lateIndex) {
			return nil, err
		}
		at := slices.IndexFunc(d.GlobalIndexes, func(x table.IndexDefinition) bool { return x.Name == lateIndex })
		switch status := d.GlobalIndexStatus[at]; {
		case status == table.StatusDeleting:
			return nil, nil
		case status == table.StatusActive:
			if wrong, err = s.compare(name, lateIndex, false); wrong == nil || err != nil {
				return nil, err
			}
		default:
			wrong = fmt.Errorf("index %s is %s", lateIndex, status)
		}
		if s.e.Now() > deadline {
			return wrong, nil
		}
		s.e.Sleep(5 * time.Millisecond)
	}
}

// compare reads a table and one of its indexes and returns in what they differ.
func (s *server) compare(name, index string, all bool) (wrong, err error) {
	want, err := s.rows(name, "", all)
	if err != nil {
		return nil, err
	}
	got, err := s.rows(name, index, all)
	if err != nil {
		return nil, err
	}
	return difference(index, got, want), nil
}

// difference tells in what the sorted entries of an index differ from what they
// should be.
func difference(index string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	text := fmt.Sprintf("index %s holds %d entries, want %d", index, len(got), len(want))
	for _, d := range []struct {
		what string
		list []string
	}{{"it lacks", without(want, got)}, {"it should not have", without(got, want)}} {
		if n := len(d.list); n > 0 {
			text += fmt.Sprintf("; %s %d, such as %.300s", d.what, n, d.list[0])
		}
	}
	return errors.New(text)
}

// without returns the elements of the first list, sorted, that the second lacks;
// equal elements count each.
func without(list, other []string) (rest []string) {
	j := 0
	for _, s := range list {
		for j < len(other) && other[j] < s {
			j++
		}
		if j < len(other) && other[j] == s {
			j++
			continue
		}
		rest = append(rest, s)
	}
	return rest
}
