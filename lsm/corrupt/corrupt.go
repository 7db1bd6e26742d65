// Package corrupt holds the one error by which the engine's files report
// damage: bytes on disk that fail their own check.
//
// Every reader of a file returns it, so a caller may act on damage without
// knowing which kind of file was hit:
//
//	var damage *corrupt.Error
//	if errors.As(err, &damage) {
//		quarantine(damage.File)
//	}
//
// A failing device (EIO) is not damage and keeps its own error.
package corrupt

import "fmt"

// An Error names the place that failed its check and why.
type Error struct {
	File   string // as the caller named it
	Offset int64  // start of the damaged block, record or field
	Reason string
}

// New makes an Error; format and args give the reason.
func New(file string, offset int64, format string, args ...any) *Error {
	return &Error{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: corrupt at offset %d: %s", e.File, e.Offset, e.Reason)
}
