//go:build !unix

package nowait

import (
	"errors"
	"io"
	"syscall"
)

// NewStream fails: c is to be used as it is.
func NewStream(syscall.Conn) (io.ReadWriter, error) { return nil, errors.ErrUnsupported }
