package table

import (
	"fmt"
	"time"

	"github.com/statordb/stator/internal/env"
)

// ThroughputChanges says what the provisioned throughput of a table or a global
// index went through. Each has its own.
type ThroughputChanges struct {
	LastIncrease, LastDecrease env.Time // 0 = never

	// Decreases counts the decreases on the UTC day of LastDecrease, or, in a
	// Description, on the current one.
	Decreases int64
}

// Decreases of throughput: so many at will on one UTC day, then one after each
// decreaseInterval; Developer Guide, "Service, account, and table quotas".
const (
	freeDecreases    = 4
	decreaseInterval = env.Time(time.Hour)
)

// note counts a change, or refuses a decrease that comes too soon.
func (c *ThroughputChanges) note(old, next Throughput, now env.Time) error {
	if next.Read < old.Read || next.Write < old.Write {
		if err := c.countDecrease(now); err != nil {
			return err
		}
	}
	if next.Read > old.Read || next.Write > old.Write {
		c.LastIncrease = now
	}
	return nil
}

func (c *ThroughputChanges) countDecrease(now env.Time) error {
	today := c.on(now)
	if today.Decreases >= freeDecreases && now-c.LastDecrease < decreaseInterval {
		return &LimitError{Message: fmt.Sprintf("Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. "+
			"After the first %d decreases, each subsequent decrease in the same UTC day can be performed at most once every %d seconds. "+
			"Number of decreases today: %d.", freeDecreases, int64(decreaseInterval/env.Time(time.Second)), today.Decreases)}
	}
	c.Decreases = today.Decreases + 1
	c.LastDecrease = now
	return nil
}

// on returns the changes with the decreases of the day of now.
func (c ThroughputChanges) on(now env.Time) ThroughputChanges {
	if !sameDay(now, c.LastDecrease) {
		c.Decreases = 0
	}
	return c
}

const dayNanos = 24 * 60 * 60 * 1_000_000_000

// sameDay reports whether two times fall on the same UTC day.
func sameDay(a, b env.Time) bool { return b != 0 && a/dayNanos == b/dayNanos }

// What an on-demand table or index can take from the start, in request units
// per second; Developer Guide, "Understanding DynamoDB warm throughput".
const (
	onDemandWarmReads  = 12000
	onDemandWarmWrites = 4000
)

// Warm returns the rates that the table can take at once: those it was warmed
// up to, and at least those that its billing mode implies.
func (d *Definition) Warm() Throughput {
	return d.implied(d.Throughput).raised(d.WarmThroughput)
}

// WarmIndex is Warm for a global index.
func (d *Definition) WarmIndex(x *IndexDefinition) Throughput {
	return d.implied(x.Throughput).raised(x.Warm)
}

// implied returns the warm rates of a table or index that nobody warmed up.
func (d *Definition) implied(provisioned *Throughput) Throughput {
	if d.BillingMode == BillingOnDemand || provisioned == nil {
		return Throughput{Read: onDemandWarmReads, Write: onDemandWarmWrites}
	}
	return *provisioned
}

// raised returns the larger ones of both rates; nil raises nothing.
func (t Throughput) raised(to *Throughput) Throughput {
	if to == nil {
		return t
	}
	return Throughput{Read: max(t.Read, to.Read), Write: max(t.Write, to.Write)}
}

// checkWarm checks rates to warm up to, of which 0 stands for one not given.
// What is warm stays warm. index "" = the table's.
func checkWarm(current Throughput, asked *Throughput, index string) error {
	where := "table"
	if index != "" {
		where = "index " + index
	}
	lower := "Requested %s for WarmThroughput for " + where + " is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
	switch {
	case asked == nil:
	case *asked == Throughput{}:
		return invalidValue("WarmThroughput must specify ReadUnitsPerSecond, WriteUnitsPerSecond, or both")
	case asked.Read != 0 && asked.Read < current.Read:
		return invalidValue(lower, "ReadUnitsPerSecond")
	case asked.Write != 0 && asked.Write < current.Write:
		return invalidValue(lower, "WriteUnitsPerSecond")
	}
	return nil
}

// check refuses caps that say nothing, or that are neither a rate nor -1, which
// takes a cap away.
func (o *OnDemandThroughput) check() error {
	switch {
	case o == nil:
	case *o == OnDemandThroughput{}:
		return invalidValue("OnDemandThroughput must specify MaxReadRequestUnits, MaxWriteRequestUnits, or both")
	case o.MaxRead < -1:
		return refuse("Given value %d for MaxReadRequestUnits is out of bounds", o.MaxRead)
	case o.MaxWrite < -1:
		return refuse("Given value %d for MaxWriteRequestUnits is out of bounds", o.MaxWrite)
	}
	return nil
}

// changed returns the caps after a change, which keeps those it does not name;
// nil changes nothing.
func (o *OnDemandThroughput) changed(by *OnDemandThroughput) *OnDemandThroughput {
	switch {
	case by == nil:
		return o
	case o == nil:
		return by
	}
	next := *o
	if by.MaxRead != 0 {
		next.MaxRead = by.MaxRead
	}
	if by.MaxWrite != 0 {
		next.MaxWrite = by.MaxWrite
	}
	return &next
}

// checkCaps checks the caps of a table and of its global indexes, which only
// on-demand tables have.
func (d *Definition) checkCaps() error {
	caps := []*OnDemandThroughput{d.OnDemand}
	for i := range d.GlobalIndexes {
		caps = append(caps, d.GlobalIndexes[i].OnDemand)
	}
	for _, o := range caps {
		if o != nil && d.BillingMode != BillingOnDemand {
			return invalidValue("OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST")
		}
		if err := o.check(); err != nil {
			return err
		}
	}
	return nil
}
