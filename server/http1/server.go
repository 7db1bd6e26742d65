package http1

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// A Server serves its Handler; the limits and the log of the embedded server
// hold for all connections. ConnState and ConnContext are only told of the
// connections that net/http serves.
//
// A handler must not keep a request, its header or the ResponseWriter after it
// returned. What it writes is sent when it returns, or at once if it set
// Content-Length. It cannot flush, hijack, or learn that a client went away.
type Server struct {
	*http.Server

	closing atomic.Bool
	foreign *handover
	serving sync.WaitGroup // connections and the loop of net/http

	// mu guards what is below.
	mu        sync.Mutex
	listeners map[net.Listener]bool
	conns     map[*conn]bool
}

// NewServer returns a server with the handler and the limits of s.
func NewServer(s *http.Server) *Server {
	return &Server{Server: s, listeners: map[net.Listener]bool{}, conns: map[*conn]bool{}}
}

// Serve accepts connections until Shutdown or Close, and then returns
// http.ErrServerClosed; or until the listener fails.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.add(l) {
		return http.ErrServerClosed
	}
	for {
		c, err := l.Accept()
		switch {
		case s.closing.Load():
			if err == nil {
				c.Close()
			}
			return http.ErrServerClosed
		case err == nil:
			s.take(c)
		case !isTemporary(err):
			return err
		default:
			pause()
		}
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// add notes a listener, and starts net/http's part with the first one.
func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[l] = true
	if s.foreign == nil {
		s.foreign = newHandover(l.Addr())
		s.serving.Go(func() { _ = s.Server.Serve(s.foreign) }) // ends when foreign is closed
	}
	return true
}

func (s *Server) take(nc net.Conn) {
	c := newConn(s, nc)
	if c == nil { // not TCP
		s.foreign.give(nc)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		nc.Close()
		return
	}
	s.conns[c] = true
	s.serving.Go(c.serve)
}

// forget is told of every connection that ended or was handed over.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// Shutdown stops accepting, ends connections that wait for a request, and
// returns when all others have got their answer, or with ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(func(c *conn) { c.closeIdle() })
	err := s.Server.Shutdown(ctx)
	done := make(chan struct{})
	go func() { // ends with the connections; Close ends those that do not end by themselves
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// Close ends all connections at once. As net/http's, it does not wait for
// handlers, which find their connections closed.
func (s *Server) Close() error {
	s.stop(func(c *conn) { c.nc.Close() })
	return s.Server.Close()
}

func (s *Server) stop(end func(*conn)) {
	s.closing.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		end(c)
	}
	if s.foreign != nil {
		s.foreign.Close()
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
	}
}
