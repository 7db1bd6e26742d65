package server

import (
	"path/filepath"
	"testing"
)

// openMemory returns a fresh database in memory.
func openMemory(t testing.TB) *Server {
	t.Helper()
	s, err := Open(Options{Memory: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Each file in testdata but the protocol's tells the story of one operation on
// a database of its own, from JSON to storage and back.
func TestOperationGolden(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if filepath.Base(name) == "protocol.txt" {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			runGolden(t, name, openMemory(t).Handler())
		})
	}
}
