//go:build !linux

package bench

import (
	"errors"
	"os"
	"time"
)

func UsageOf(int) (ProcessUsage, error) {
	return ProcessUsage{}, errors.New("what another process uses is read from /proc, which is Linux's")
}

func ListenerOf(int) int { return 0 }

func UsageAfter(state *os.ProcessState) ProcessUsage {
	return ProcessUsage{CPU: state.UserTime() + state.SystemTime()}
}

func BusyTime() time.Duration { return 0 }
