package manifest

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"github.com/statordb/stator/internal/plant"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
	"github.com/statordb/stator/lsm/wal"
)

// CURRENT is one line of text:
//
//	stator-lsm 1 manifest 000003 crc32c 0a1b2c3d
//
// The number is the log segment to begin with; the checksum covers everything
// before " crc32c". It is replaced by a rename, so it is always whole.
const (
	currentName   = "CURRENT"
	currentTemp   = "CURRENT.tmp"
	currentFormat = "stator-lsm 1 manifest %06d"
	currentBytes  = 128 // more than the line has
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func formatCurrent(id wal.SegmentID) string {
	text := fmt.Sprintf(currentFormat, uint64(id))
	return fmt.Sprintf("%s crc32c %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

// parseCurrent accepts exactly what formatCurrent writes.
func parseCurrent(text string) (wal.SegmentID, bool) {
	var n uint64
	if _, err := fmt.Sscanf(text, currentFormat, &n); err != nil {
		return 0, false
	}
	id := wal.SegmentID(n)
	return id, id != 0 && text == formatCurrent(id)
}

// readCurrent returns the segment that CURRENT names; the error matches
// vfs.ErrNotExist if there is no such file.
func readCurrent(fs vfs.FS, dir string) (wal.SegmentID, error) {
	name := path.Join(dir, currentName)
	f, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, currentBytes)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	id, ok := parseCurrent(string(b[:n]))
	if !ok {
		return 0, corrupt.New(name, firstDifference(string(b[:n])), "does not name a manifest")
	}
	return id, nil
}

// firstDifference is where text stops to look like a CURRENT file; the checksum
// if it looks like one to the end.
func firstDifference(text string) int64 {
	model := formatCurrent(1)
	at := strings.Index(model, "000001")
	for i := range min(len(text), at) {
		if text[i] != model[i] {
			return int64(i)
		}
	}
	return int64(min(len(text), at))
}

// writeCurrent switches CURRENT to id: afterwards, and after any crash, it names
// either id or what it named before.
func writeCurrent(fs vfs.FS, dir string, id wal.SegmentID) error {
	temp := path.Join(dir, currentTemp)
	f, err := fs.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(formatCurrent(id)), 0)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	if err := fs.Rename(temp, path.Join(dir, currentName)); err != nil || plant.On(plant.ManifestNameUnsynced) {
		return err
	}
	return fs.SyncDir(dir)
}
