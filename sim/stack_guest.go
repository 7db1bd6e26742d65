package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/table"
)

// A guestStack runs the whole server on all nodes, for clients that are not the
// simulator's: what tables there are, and what they ought to hold, it does not know.
type guestStack struct{ tableStack }

// create waits until all nodes know each other.
func (guestStack) create(r *run) {
	for start := r.clients.Now(); r.clients.Now().Sub(start) < r.limit(); r.clients.Sleep(10 * time.Millisecond) {
		ready := 0
		for _, n := range r.nodes {
			if s := n.server; s != nil && s.ready() && (len(r.nodes) == 1 || len(s.tables.Members()) == len(r.nodes)) {
				ready++
			}
		}
		if ready == len(r.nodes) {
			return
		}
	}
	r.fail(found(Progress, errors.New("sim: the nodes do not find each other")))
}

func (guestStack) started(*run, *node) {}
func (guestStack) settle(*run)         {}
func (guestStack) verify(*run)         {}

// probe reads from all partitions of all tables, which takes a leader of each.
func (guestStack) probe(s *server, value string) error {
	names, _, err := s.tables.List("", 100)
	if err != nil {
		return err
	}
	for _, name := range names {
		d, err := s.tables.Describe(name)
		if err != nil {
			return err
		}
		for i := range 16 {
			_, err := s.tables.Get(&table.GetRequest{Table: name, Key: probeKey(d, i), Consistent: true})
			if err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
		}
	}
	return nil
}

// probeKey makes up a key that fits a table.
func probeKey(d *table.Description, i int) item.Item {
	values := map[string]item.Value{}
	for _, k := range d.Keys {
		for _, a := range d.Attributes {
			switch {
			case a.Name != k.Name:
			case a.Type == item.N:
				values[k.Name] = number(int64(i))
			case a.Type == item.B:
				values[k.Name] = item.Bytes([]byte{byte(i)})
			default:
				values[k.Name] = item.String(fmt.Sprint("probe", i))
			}
		}
	}
	return item.NewItem(values)
}
