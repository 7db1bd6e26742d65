//go:build !linux

package vfs

import (
	"errors"
	"os"
)

// errQuota never occurs: these systems answer ENOSPC or their own text.
var errQuota = errors.New("vfs: quota exceeded")

func syncFile(f *os.File) error { return f.Sync() }

func writeThrough(f *os.File, p []byte, off int64) (int, error) { return writeAndSync(f, p, off) }

func preallocate(*os.File, int64) error { return errors.ErrUnsupported }

// syncDir ignores the error of systems that cannot sync a directory handle.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}

func usage(string) (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }

// mapFile is left out: files are read.
func mapFile(*os.File, int64) (b []byte, release func([]byte), err error) {
	return nil, nil, errors.ErrUnsupported
}

func mapShared(*os.File, int64) (SharedMapping, error) { return nil, errors.ErrUnsupported }
