// Package simtest runs a user's own code against a whole Stator cluster in one simulated
// world: three nodes in three zones with simulated disks, network and clocks, which can
// crash, lose power and be cut off while the code is at work. Then it checks whether there
// is an order of the code's own calls that explains every answer. A seed decides
// everything, so a failure can be repeated.
//
//	func TestCheckout(t *testing.T) {
//		c := simtest.New(t, 1)
//		c.Run(func(ctx context.Context) {
//			client := dynamodb.New(dynamodb.Options{
//				Region: "us-east-1", BaseEndpoint: aws.String("http://cluster"),
//				Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""),
//				HTTPClient:  c.HTTPClient(),
//				Retryer:     c.Retryer(5),
//			})
//			// create tables; call the code under test, with c.Go from several goroutines
//			c.PowerLoss("a")
//			// ... and go on
//		})
//	}
//
// # Time
//
// Run executes its function in a bubble of testing/synctest. There time.Now, time.Sleep,
// deadlines of contexts and the pauses of an SDK between attempts all follow the clock of
// the simulated world, which stands still while code runs and jumps when everybody waits. A
// minute of waiting takes some 0.2 s, for the nodes go on with their own work; Limit says how
// many there may be. The clock begins on 1 January 2026.
//
// # Goroutines
//
// The code may start goroutines; each request is carried out by the simulated world while
// its goroutine waits. Goroutines that are started with Go run one at a time between their
// requests, so that runs of one seed are equal. Those that are started otherwise run at the
// same time as others, which is as repeatable as the code itself is.
//
// # Limits
//
// Requests must come through HTTPClient; real sockets stop the clock. What is true of
// synctest is true here: no t.Run and t.Parallel in Run, and the code must have ended its
// goroutines when it returns. There is one world at a time in a process. Package
// crypto/rand reads from the seed meanwhile, as far as its Reader is not remembered from
// before; math/rand does not.
//
// Reading order: cluster.go (what users see), driver.go (two clocks become one),
// transport.go (a request on its way), history.go, applied.go and model.go (the verdict).
package simtest
