package sim

import (
	"fmt"
	"time"
)

// backoffs are the ways in which SDKs pause between attempts: a random part of base, twice
// base, four times base, and so on, at most limit.
var backoffs = map[string]struct{ base, limit time.Duration }{
	"":         {},                                        // at once
	"standard": {2 * time.Second, 20 * time.Second},       // standard mode of today's SDKs; 3 attempts by default
	"2026":     {25 * time.Millisecond, 20 * time.Second}, // what they change to for DynamoDB; 4 attempts
	"legacy":   {50 * time.Millisecond, 20 * time.Second}, // DynamoDB clients of older SDKs; 10 attempts after the first
}

// pause waits before attempt, the first of which is 1, as the client's SDK would.
func (c *client) pause(attempt int) {
	b := backoffs[c.plan.Backoff]
	if b.base > 0 {
		longest := min(b.limit, b.base<<min(attempt-1, 20))
		c.run.clients.Sleep(time.Duration(c.rng.Float64() * float64(longest)))
	}
}

// elsewhere has a client that roams go on to the next node.
func (c *client) elsewhere(from *node) {
	if c.plan.Roams && c.node == from {
		c.node = c.run.nodes[int(from.id)%len(c.run.nodes)]
	}
}

// judge keeps what a client that may not see an error was told in the end.
func (c *client) judge(op *Operation) {
	if !c.plan.Insists || op.Call == 0 || c.run.ending {
		return // it was not sent
	}
	c.run.insisted++
	if op.Outcome == Unknown || op.Outcome == Failed {
		c.run.fail(found(Availability, fmt.Errorf("sim: a client that tries %d times sees an error: %s", c.plan.Retries+1, op)))
	}
}

// drawAvailability draws a world in which one zone at a time dies and returns, and clients
// that try again as SDKs do, which may not see an error.
func (d *drawer) drawAvailability() {
	p := d.plan
	p.Knobs.Tick = Duration(time.Duration(d.one(20, 50, 100)) * time.Millisecond)
	for i := range p.Clients {
		c := &p.Clients[i]
		c.Edge, c.Roams, c.Insists, c.Patience = true, true, true, Duration(2*time.Second)
		c.Retries, c.Backoff = d.o.Attempts-1, d.o.Backoff
		for k := range c.Ops {
			if o := &c.Ops[k]; singles[o.Do] == Get && o.Do != "get" { // a query, scan or batch
				*o = Op{At: o.At, Value: fmt.Sprintf("c%d.%d", i+1, k+1)}
				d.drawSingle(o, hotKey(d.IntN(hotHashes*hotRanges)))
			}
		}
	}
	p.Nemesis, p.Transactors = nil, nil
	for at := d.exp(2 * time.Second); at < p.For; {
		f := Fault{At: at, Kind: "zone power", Target: d.drawZone(), Mode: powerCuts[d.IntN(len(powerCuts))], For: d.drawLength(3 * time.Second)}
		if d.wanted("zone isolated") && d.IntN(2) == 0 {
			f.Kind, f.Mode = "zone isolated", ""
		}
		f.For = min(f.For, p.For-at)
		p.Nemesis = append(p.Nemesis, f, Fault{At: at + f.For + Duration(time.Millisecond), Kind: "calm"})
		at += f.For + Duration(2*time.Second) + d.exp(time.Second) // the zone has to catch up
	}
}
