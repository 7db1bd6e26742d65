package tcp

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/statordb/stator/internal/transport"
)

// Greet sends a request to the node at an address, of which nothing is known, and
// returns its answer. It is how nodes find each other before they are of one
// cluster.
func Greet(ctx context.Context, addr string, config *tls.Config, request []byte) ([]byte, error) {
	c, _, err := dial(ctx, addr, config, hello{version: version, lane: greetLane})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	_ = c.SetDeadline(time.Now().Add(greetTimeout))
	if err := (&batchWriter{out: c}).write(greetLane, nil, [][]byte{request}); err != nil {
		return nil, err
	}
	lane, answer, err := newFrameReader(c).next()
	if err == nil && lane != greetLane {
		err = transport.ErrBadFrame
	}
	return answer, err
}

// greetTimeout is how long a greeting may take.
const greetTimeout = 15 * time.Second

// maxGreeting bounds what a stranger may say, in bytes.
const maxGreeting = 64 << 10

// greet answers a stranger.
func (t *Transport) greet(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(greetTimeout))
	lane, request, err := newFrameReader(c).next()
	if err != nil || lane != greetLane || len(request) > maxGreeting {
		return
	}
	_ = (&batchWriter{out: c}).write(greetLane, nil, [][]byte{t.o.Greet(request)})
}
