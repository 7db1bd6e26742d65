//go:build !linux

package tcp

func newAlarm() alarm { return newTimerAlarm() }
