package server

import (
	"log/slog"

	"github.com/statordb/stator/lsm"
)

// logged is a listener that writes the engine's events to the log: what an
// operator must act on as an error, what explains latency as a warning, and
// ordinary upkeep for those who debug.
func logged(log *slog.Logger) *lsm.Listener {
	return &lsm.Listener{
		Flushed: func(e lsm.FlushEvent) {
			log.Debug("memtable flushed", "tables", e.Tables, "bytes", e.Bytes, "took", e.Duration)
		},
		Compacted: func(e lsm.CompactionEvent) {
			log.Debug("tables compacted", "tables", e.Tables, "read", e.BytesRead, "written", e.BytesWritten, "took", e.Duration)
		},
		Stalled: func(e lsm.StallEvent) {
			if e.Done {
				log.Warn("writers went on", "reason", e.Reason, "waited", e.Duration)
				return
			}
			log.Warn("writers have to wait", "reason", e.Reason)
		},
		Damaged: func(e lsm.DamageEvent) { log.Error("table is damaged", "file", e.Name, "error", e.Err) },
		Failed:  func(err error) { log.Error("the store takes no more writes", "error", err) },
	}
}
