package table

import (
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// The leader of a partition that remembers tokens puts a mark into its log each minute (core.mark), by its own monotonic time, until
// all are forgotten: partitions count the age of tokens in marks. A partition without tokens costs nothing.

// A markSeen is how many marks a partition has counted, and since when that is known here.
type markSeen struct {
	next  uint64
	since env.Mono
}

// watchTokens sets marks as long as the service is open. It looks at each partition at least once in the time between two marks.
func (c *core) watchTokens() {
	seen := make(map[uint64]markSeen) // by group
	for pause := c.mark; ; {
		if _, _, closing := c.closing.AwaitFor(pause); closing {
			return
		}
		seen, pause = c.setMarks(seen)
	}
}

// setMarks sets the marks that are due at partitions that are led here, and returns when to look again. That a mark was seen
// late makes the next one later, never earlier; so does a change of leaders.
func (c *core) setMarks(seen map[uint64]markSeen) (next map[uint64]markSeen, pause time.Duration) {
	next, pause = make(map[uint64]markSeen), c.mark
	var due []*livePartition
	var sent []proposal
	for _, p := range c.directory.hosted() {
		count, wanted := p.NextMark()
		if !wanted || c.closing.Ready() {
			continue
		}
		now := c.env.Now()
		m, known := seen[p.id]
		if !known || m.next != count {
			m = markSeen{count, now}
		}
		next[p.id] = m
		left := m.since.Add(c.mark).Sub(now)
		if left > 0 || !p.leads() {
			pause = min(pause, max(left, c.mark/partition.TokenMarks))
			continue
		}
		due = append(due, p)
		sent = append(sent, p.propose((&partition.Command{Kind: partition.Mark, Mark: count}).Encode()))
	}
	for i, p := range due {
		if _, err := sent[i].outcome(); err != nil {
			continue // it is tried again, after a while
		}
		if count, wanted := p.NextMark(); wanted {
			next[p.id] = markSeen{count, c.env.Now()}
		}
	}
	return next, pause
}
