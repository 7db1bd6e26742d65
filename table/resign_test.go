package table

import (
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
)

// A node whose disk was too full to start the catalog's group can still be closed.
func TestResignWithoutCatalog(t *testing.T) {
	w := env.NewWorld(1, env.Options{})
	defer w.Close()
	e := w.NewNode("n1")
	net := transport.NewNetwork(w, transport.NetworkOptions{})
	net.Add(1, transport.Site{Name: "n1", Zone: "a"})
	calls := transport.NewCalls(e, net.Start(1, e))
	c := &core{env: e, calls: calls, directory: newDirectory(e), closing: env.NewFuture[struct{}](e)}
	if err := w.Do(e, "resign", func() { c.Resign(time.Second) }); err != nil {
		t.Fatal(err)
	}
}
