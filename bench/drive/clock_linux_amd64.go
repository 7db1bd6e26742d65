package drive

import (
	"os"
	"strings"
)

// ordered reads the processor's counter when all instructions before have ended, unordered when it may.
func ordered() uint64
func unordered() uint64

// counterIsClock reports whether the kernel takes the time from the counter: then it has found that it runs steadily, and alike
// on all processors.
func counterIsClock() bool {
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && strings.TrimSpace(string(source)) == "tsc"
}
