//go:build !linux

package target

import "net"

func newStream(c net.Conn) (net.Conn, error) { return c, nil }
