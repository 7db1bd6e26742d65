package simtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/statordb/stator/simtest"
)

// A test counts visits while the zone of the node that its client talks to loses power.
// That takes five seconds by the simulated clock, and a fraction of one by yours.
func ExampleNew() {
	test := func(t *testing.T) {
		c := simtest.New(t, 1)
		c.Run(func(ctx context.Context) {
			db := client(c) // an SDK client with c.HTTPClient() and c.Retryer(5)
			createCounters(t, ctx, db)
			visitors := c.Go(ctx, func(ctx context.Context) {
				for range 10 {
					if err := count(ctx, db, "visits"); err != nil {
						t.Error(err)
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
			time.Sleep(time.Second)
			c.PowerLoss("a")
			<-visitors
		})
	}
	testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "TestVisits", F: test}})
	// Output:
}
