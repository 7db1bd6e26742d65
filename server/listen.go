package server

import (
	"net/http"
	"time"

	"github.com/statordb/stator/server/http1"
)

// What a slow or silent client may take. Answers are bounded by 16 MiB and
// requests too, so these are generous for anything but an attack.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = time.Minute // header and body
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 5 * time.Minute
	maxHeader     = 12 << 10 // bytes; net/http adds 4 KiB of its own, which makes 16
)

// NewHTTPServer returns a server of h for HTTP/1.1 and HTTP/2 without TLS, with
// limits on what clients may make it wait for and remember. Plain requests cost
// it less than they cost net/http, which serves all others.
func NewHTTPServer(h http.Handler) *http1.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return http1.NewServer(&http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	})
}
