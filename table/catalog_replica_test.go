package table

import (
	"strings"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// What a node has of the catalog is what its store says; a number that is handed out, or a table, in memory alone is missed.
func TestCheckCatalog(t *testing.T) {
	s, err := openStack(env.New(), vfs.NewMem())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.Create(simple("tab", 2)); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckCatalog(); err != nil {
		t.Fatal(err)
	}
	c := s.catalog
	view := c.view.Load()
	for what, change := range map[string]func() (undo func()){
		"groups": func() func() { c.nextGroup++; return func() { c.nextGroup-- } },
		"tables": func() func() { c.view.Store(view.without(view.keys[0])); return func() { c.view.Store(view) } },
	} { //sim:ok each is undone
		undo := change()
		if err := s.CheckCatalog(); err == nil || !strings.Contains(err.Error(), "in memory") {
			t.Errorf("%s differ, and %v", what, err)
		}
		undo()
	}
}
