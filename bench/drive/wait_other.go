//go:build !linux

package drive

import "time"

func nap(d time.Duration) { time.Sleep(d) }

// An alarm wakes one worker at a time.
type alarm struct{}

func newAlarm() *alarm               { return &alarm{} }
func (*alarm) sleep(d time.Duration) { time.Sleep(d) }
func (*alarm) close() error          { return nil }
