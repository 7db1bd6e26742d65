package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var kills = flag.Int("kills", 3, "how often TestKill kills the server")

// binary builds the command once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stator-cmd-test")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "stator")
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if name, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(code)
}

// A child is a running server.
type child struct {
	cmd    *exec.Cmd
	url    string
	client *dynamodb.Client
}

func startServer(t *testing.T, args ...string) *child {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	i := strings.Index(line, "http://")
	if err != nil || i < 0 {
		t.Fatalf("the server's first line is %q, %v; want one with its endpoint", line, err)
	}
	url := strings.Fields(line[i:])[0]
	return &child{cmd, url, dynamodb.New(dynamodb.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(url),
		Credentials:      credentials.NewStaticCredentialsProvider("k", "s", ""),
		RetryMaxAttempts: 1,
		HTTPClient:       &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second},
	})}
}

func createTable(t *testing.T, c *dynamodb.Client, name string) {
	t.Helper()
	_, err := c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            aws.String(name),
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The waiter asks once and then only every 20 s: the first answer has to do.
	if err := dynamodb.NewTableExistsWaiter(c).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(name)}, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

const writers = 16

// A writer overwrites one item with ever higher versions and remembers the
// last one it sent and the last one that was acknowledged.
type writer struct{ sent, acked atomic.Int64 }

// write stores version v. Every attribute tells the version, so that half a
// write would show.
func (w *writer) write(ctx context.Context, c *dynamodb.Client, id int, v int64) error {
	w.sent.Store(v)
	item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: fmt.Sprint("w", id)}}
	for a := range 5 {
		item[fmt.Sprint("a", a)] = &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
	}
	item["pad"] = &types.AttributeValueMemberS{Value: strings.Repeat("x", int(v*37%3000))}
	_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("versions"), Item: item})
	if err == nil {
		w.acked.Store(v)
	}
	return err
}

func (w *writer) check(t *testing.T, c *dynamodb.Client, id int) {
	t.Helper()
	out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String("versions"), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: fmt.Sprint("w", id)}},
	})
	if err != nil {
		t.Fatalf("writer %d: %v", id, err)
	}
	if out.Item == nil {
		if w.acked.Load() > 0 {
			t.Errorf("writer %d: version %d was acknowledged, the item is gone", id, w.acked.Load())
		}
		return
	}
	var versions []string
	for a := range 5 {
		versions = append(versions, out.Item[fmt.Sprint("a", a)].(*types.AttributeValueMemberN).Value)
	}
	got, _ := strconv.ParseInt(versions[0], 10, 64)
	for _, v := range versions {
		if v != versions[0] {
			t.Errorf("writer %d: half a write is visible: %v", id, versions)
		}
	}
	if got < w.acked.Load() || got > w.sent.Load() {
		t.Errorf("writer %d: version %d is stored; %d was acknowledged, %d sent", id, got, w.acked.Load(), w.sent.Load())
	}
	if pad := out.Item["pad"].(*types.AttributeValueMemberS).Value; len(pad) != int(got*37%3000) {
		t.Errorf("writer %d: version %d has %d bytes of padding", id, got, len(pad))
	}
	w.acked.Store(got) // what was read once must stay
}

// TestKill kills the server under 16 concurrent writers, again and again: no
// acknowledged write is lost and no half of an unacknowledged one is visible.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := startServer(t, "--dir", dir)
	createTable(t, s.client, "versions")
	var ws [writers]writer
	for round := range *kills {
		var wg sync.WaitGroup
		for id := range ws {
			wg.Go(func() {
				for v := ws[id].sent.Load() + 1; ws[id].write(t.Context(), s.client, id, v) == nil; v++ {
				}
			})
		}
		time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond) // the load must run for a while
		s.cmd.Process.Kill()
		wg.Wait()
		s.cmd.Wait()
		began := time.Now()
		s = startServer(t, "--dir", dir)
		t.Logf("round %d: restarted in %v, writer 0 at version %d", round, time.Since(began), ws[0].acked.Load())
		for id := range ws {
			ws[id].check(t, s.client, id)
		}
		if t.Failed() {
			return
		}
	}
}
