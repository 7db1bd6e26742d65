package result

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// maxResults bounds what is looked at, from the newest result back.
const maxResults = 300

// ReadFolder reads all results of a folder, oldest first.
func ReadFolder(dir string) ([]*File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: %w: no results (*.json)", dir, fs.ErrNotExist)
	}
	var all []*File
	for _, name := range names {
		f, err := Read(name)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b *File) int { return a.Time.Compare(b.Time) })
	return all[max(0, len(all)-maxResults):], nil
}
