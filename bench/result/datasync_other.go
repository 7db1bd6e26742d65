//go:build !linux

package result

import "os"

func datasync(f *os.File) error { return f.Sync() }
