package simtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/statordb/stator/simtest"
)

// client returns an SDK client of the cluster, as a user would make it.
func client(c *simtest.Cluster) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://cluster"),
		Credentials:              credentials.NewStaticCredentialsProvider("any", "any", ""),
		HTTPClient:               c.HTTPClient(),
		Retryer:                  c.Retryer(5),
		IdempotencyTokenProvider: c.Tokens(),
	})
}

func createCounters(t *testing.T, ctx context.Context, db *dynamodb.Client) {
	t.Helper()
	_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("Counters"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("name"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("name"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func key(name string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"name": &types.AttributeValueMemberS{Value: name}}
}

func count(ctx context.Context, db *dynamodb.Client, name string) error {
	_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String("Counters"), Key: key(name), UpdateExpression: aws.String("ADD n :one"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
		ReturnValues:              types.ReturnValueAllNew,
	})
	return err
}

// run counts with three tasks while a zone loses power, and returns the world's hash.
func run(t *testing.T, seed uint64) (hash uint64) {
	c := simtest.New(t, seed)
	c.Run(func(ctx context.Context) {
		db := client(c)
		createCounters(t, ctx, db)
		var tasks []<-chan struct{}
		for i := range 3 {
			db := client(c)
			tasks = append(tasks, c.Go(ctx, func(ctx context.Context) {
				for k := range 6 {
					if err := count(ctx, db, fmt.Sprint("c", k%2)); err != nil {
						t.Errorf("task %d: %v", i, err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			}))
		}
		time.Sleep(200 * time.Millisecond)
		c.PowerLoss("a")
		time.Sleep(2 * time.Second)
		c.PowerReturn("a")
		for _, done := range tasks {
			<-done
		}
		c.Check()
		hash = c.Hash()
	})
	return hash
}

// Two runs of one seed are the same, although the SDK is in between.
func TestSameSeedSameRun(t *testing.T) {
	first, again, other := run(t, 1), run(t, 1), run(t, 2)
	if first != again || first == 0 {
		t.Errorf("hashes %x and %x", first, again)
	}
	if other == first {
		t.Error("another seed is the same run")
	}
}

// The clock of the code is that of the world.
func TestClock(t *testing.T) {
	c := simtest.New(t, 1)
	c.Run(func(ctx context.Context) {
		began := time.Now()
		if began.Year() != 2026 || c.Now() != began {
			t.Errorf("it is %s", began)
		}
		c.Sleep(time.Minute)
		if d := time.Since(began); d != time.Minute {
			t.Errorf("a minute took %s", d)
		}
		db := client(c)
		createCounters(t, ctx, db)
		for node := range 3 { // nobody can answer
			c.CrashNode(node + 1)
		}
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		began = time.Now()
		err := count(short, db, "x")
		if d := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || d != 300*time.Millisecond {
			t.Errorf("after %s: %v", d, err)
		}
	})
}

// Faults that the seed draws come to something, and nobody is told anything wrong.
func TestDrawnFaults(t *testing.T) {
	c := simtest.New(t, 3, simtest.Faults("crash", "isolate", "zone power", "lag"), simtest.FaultsFor(10*time.Second))
	c.Run(func(ctx context.Context) {
		db := client(c)
		createCounters(t, ctx, db)
		for k := range 40 {
			// An error is no failure here: some faults last longer than a client's patience.
			_ = count(ctx, db, fmt.Sprint("c", k%2))
			time.Sleep(250 * time.Millisecond)
		}
		if len(c.Fired()) == 0 {
			t.Error("no fault has fired")
		}
	})
}

// Batches, refusals and pages are part of the history, and the cluster answers them while
// a node is cut off.
func TestOperations(t *testing.T) {
	c := simtest.New(t, 4)
	c.Run(func(ctx context.Context) {
		db := client(c)
		createCounters(t, ctx, db)
		if _, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
			"Counters": {{PutRequest: &types.PutRequest{Item: key("a")}}, {PutRequest: &types.PutRequest{Item: key("b")}}},
		}}); err != nil {
			t.Fatal(err)
		}
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: aws.String("Counters"), Item: key("a"), ConditionExpression: aws.String("attribute_not_exists(#n)"),
			ExpressionAttributeNames:            map[string]string{"#n": "name"},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var refused *types.ConditionalCheckFailedException
		if !errors.As(err, &refused) || refused.Item == nil {
			t.Errorf("got %v", err)
		}
		c.Cut(1)
		if _, err := db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("Counters"), Key: key("b"), ReturnValues: types.ReturnValueAllOld}); err != nil {
			t.Error(err)
		}
		c.Heal()
		page, err := db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("Counters"), ConsistentRead: aws.Bool(true)})
		if err != nil || page.Count != 1 {
			t.Errorf("%v %v", page, err)
		}
		got, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			"Counters": {Keys: []map[string]types.AttributeValue{key("a"), key("b")}, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil || len(got.Responses["Counters"]) != 1 {
			t.Errorf("%v %v", got, err)
		}
	})
}

// The order of writes is known from what the nodes apply: single ones, those that were repeated, and
// those of transactions.
func TestOrderOfWritesIsKnown(t *testing.T) {
	c := simtest.New(t, 6, simtest.Faults("crash", "isolate", "lag"), simtest.FaultsFor(20*time.Second))
	c.Run(func(ctx context.Context) {
		createCounters(t, ctx, client(c))
		var tasks []<-chan struct{}
		for i := range 4 {
			db := client(c)
			tasks = append(tasks, c.Go(ctx, func(ctx context.Context) {
				for k := range 30 {
					name := fmt.Sprint("c", (i+k)%5)
					switch k % 3 { // an error is no failure here
					case 0:
						_ = count(ctx, db, name)
					case 1:
						_, _ = db.PutItem(ctx, &dynamodb.PutItemInput{
							TableName: aws.String("Counters"), Item: key(name), ConditionExpression: aws.String("n > :n OR attribute_not_exists(n)"),
							ExpressionAttributeValues: map[string]types.AttributeValue{":n": &types.AttributeValueMemberN{Value: "3"}},
						})
					default:
						_, err := db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
							{Delete: &types.Delete{TableName: aws.String("Counters"), Key: key(name)}},
							{Put: &types.Put{TableName: aws.String("Counters"), Item: key(fmt.Sprint("c", (i+k+1)%5))}},
						}})
						var mismatch *types.IdempotentParameterMismatchException
						if errors.As(err, &mismatch) {
							t.Error("two clients have the same token")
						}
					}
					time.Sleep(400 * time.Millisecond)
				}
			}))
		}
		for _, done := range tasks {
			<-done
		}
	})
	if proved, searched := c.Proved(); proved != 5 || searched > 0 {
		t.Errorf("of %d items the order of writes is known, of %d it is not", proved, searched)
	}
}

// Faults of nodes that there are not end the test with a sentence.
func TestMisuse(t *testing.T) {
	misuses := map[string]func(c *simtest.Cluster){
		"cut of which nodes?":    func(c *simtest.Cluster) { c.Cut() },
		"slow of which nodes?":   func(c *simtest.Cluster) { c.Slow(time.Second) },
		"there is no node 9":     func(c *simtest.Cluster) { c.Cut(1, 9) },
		"there is no zone \"q\"": func(c *simtest.Cluster) { c.PowerLoss("q") },
	}
	// A test that finds something itself is told how to repeat it, too.
	misuses["faults: map[]\n        replay: SIMTEST_SEED=1 go test -run '^TestMisuse$'"] = func(*simtest.Cluster) { t.Error("this was to be") }
	const variable = "SIMTEST_MISUSE"
	if name := os.Getenv(variable); name != "" { // the child: its failure is what is asked for
		c := simtest.New(t, 1)
		c.Run(func(context.Context) { misuses[name](c) })
		return
	}
	for name := range misuses {
		child := exec.Command(os.Args[0], "-test.run", "^TestMisuse$")
		child.Env = append(os.Environ(), variable+"="+name)
		if out, err := child.CombinedOutput(); err == nil || !strings.Contains(string(out), "simtest: "+name) || strings.Contains(string(out), "panic") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
