//go:build !unix

package http1

// receive waits for bytes with a turn in hand.
func (c *conn) receive() bool {
	t := turns.Get().(*turn)
	n, err := c.nc.Read(t.buf[:])
	if n == 0 || err != nil {
		turns.Put(t)
		return false
	}
	t.in = t.buf[:n]
	c.turn = t
	return true
}

func (c *conn) readReady(uintptr) bool { return true }
