package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// State is what a load remembers in a file beside its input, so that an
// interrupted one can go on: all records up to Done are stored.
type State struct {
	Table    string
	TableID  string // a table made anew under the same name has another
	Endpoint string // or directory: where the table is
	Size     int64  // of the input; another size means another file
	Reading  string // the options that decide what a record becomes
	Done     int64  // leading records known to be stored
	Skipped  int64  // bad records among them
}

func statePath(inputName, table string) string {
	return fmt.Sprintf("%s.%s.import-state", inputName, filepath.Base(table))
}

// loadState returns the saved state if it belongs to this very load.
func loadState(path string, want State) (State, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return want, nil
	}
	if err != nil {
		return want, err
	}
	var s State
	if json.Unmarshal(b, &s) != nil || s.Table != want.Table || s.TableID != want.TableID || s.Size != want.Size || s.Endpoint != want.Endpoint ||
		s.Reading != want.Reading || s.Done < 0 {
		return want, nil
	}
	return s, nil
}

// save replaces the file atomically.
func (s State) save(path string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// A prefix tracks which records are done when they finish out of order.
type prefix struct {
	mu   sync.Mutex
	done int64          // every record ≤ done is finished
	gaps map[int64]bool // finished records above done
}

func newPrefix(done int64) *prefix { return &prefix{done: done, gaps: map[int64]bool{}} }

// finish marks records and returns the new length of the finished prefix.
func (p *prefix) finish(numbers ...int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range numbers {
		p.gaps[n] = true
	}
	for p.gaps[p.done+1] {
		delete(p.gaps, p.done+1)
		p.done++
	}
	return p.done
}
