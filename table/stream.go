package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
)

// A table keeps which stream it is to have, and shows it; the streams themselves
// are not built yet, so their operations refuse.

// check refuses a specification that contradicts itself.
func (s *StreamSpec) check() error {
	switch {
	case s == nil:
	case s.Enabled && s.ViewType == "":
		return invalidValue("StreamViewType must be specified when StreamEnabled is true")
	case !s.Enabled && s.ViewType != "":
		return invalidValue("StreamViewType may not be specified when StreamEnabled is false")
	}
	return nil
}

// newStream gives the table a stream from now on, or none.
func (r *record) newStream(s *StreamSpec, now env.Time) {
	r.def.Stream = nil
	if s == nil || !s.Enabled {
		return
	}
	r.def.Stream = s
	label := streamLabel(now)
	for label <= r.streamLabel {
		now += env.Time(time.Millisecond)
		label = streamLabel(now)
	}
	r.streamLabel = label
}

// streamLabel names a stream by the time of its beginning: 2026-11-28T12:00:00.000.
func streamLabel(t env.Time) string {
	return time.UnixMilli(t.UnixMilli()).UTC().Format("2006-01-02T15:04:05.000")
}

// changeStream switches the stream on or off.
func (u *UpdateTableRequest) changeStream(r *record, now env.Time) error {
	switch has := r.def.Stream != nil && r.def.Stream.Enabled; {
	case u.Stream == nil:
		return nil
	case u.Stream.Enabled && has:
		return refuse("Table already has an enabled stream: TableName: %s", r.def.Name)
	case !u.Stream.Enabled && !has:
		return refuse("Table does not have a stream to disable: TableName: %s", r.def.Name)
	}
	r.newStream(u.Stream, now)
	return nil
}
