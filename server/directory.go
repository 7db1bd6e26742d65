package server

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/vfs"
)

// A database directory holds
//
//	FORMAT   one line of text: "stator database format 1\n"
//	LOCK     held by the process that has the database open
//	store/   the engine's tables and manifest (package lsm)
//	raft/    the log of all groups (package replication)
//	NODE     which node of which cluster it is, if it is one (identity.go)
//
// FORMAT is written first, under another name, and then renamed: a directory
// without it is new, or not ours.
const (
	formatFile = "FORMAT"
	formatTemp = "FORMAT.new"
	formatLine = "stator database format "
	format     = "1"
)

var (
	// ErrNotDatabase means that the directory has files, but no database.
	ErrNotDatabase = errors.New("server: not a Stator database")
	// ErrFormat means that the database was written by another version.
	ErrFormat = errors.New("server: unknown database format")
)

// checkFormat makes sure that fs is a database that this version can open, and
// makes an empty directory one.
func checkFormat(fs vfs.FS) error {
	empty, err := recognise(fs)
	if err != nil || !empty {
		return err
	}
	if err := writeFormat(fs); err != nil {
		return fmt.Errorf("server: make database: %w", err)
	}
	return nil
}

// recognise changes nothing: fs is a database that this version can open, or
// empty, or it returns an error.
func recognise(fs vfs.FS) (empty bool, err error) {
	f, err := fs.Open(formatFile)
	if errors.Is(err, vfs.ErrNotExist) {
		return true, onlyOurs(fs)
	}
	if err != nil {
		return false, fmt.Errorf("server: %s: %w", formatFile, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	if err != nil {
		return false, fmt.Errorf("server: %s: %w", formatFile, err)
	}
	number, ok := strings.CutPrefix(string(text), formatLine)
	if !ok || number != format+"\n" {
		return false, fmt.Errorf("%w: %s says %q, this version knows %q", ErrFormat, formatFile, text, formatLine+format+"\n")
	}
	return false, nil
}

// onlyOurs refuses a directory that holds something else.
func onlyOurs(fs vfs.FS) error {
	names, err := fs.List("")
	if err != nil {
		return fmt.Errorf("server: list directory: %w", err)
	}
	for _, name := range names {
		if !slices.Contains([]string{"LOCK", formatTemp, "lost+found"}, name) { // the last: a file system of its own
			return fmt.Errorf("%w: it has %s, but no file %s", ErrNotDatabase, name, formatFile)
		}
	}
	return nil
}

func writeFormat(fs vfs.FS) error {
	f, err := fs.Create(formatTemp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(formatLine+format+"\n"), 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(formatTemp, formatFile); err != nil {
		return err
	}
	return fs.SyncDir("")
}
