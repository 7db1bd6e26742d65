package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/statordb/stator"
	"github.com/statordb/stator/bench/drive"
)

// record lets do work through a recorder and returns the bytes of the trace.
func record(t *testing.T, hashed bool, do func(ctx context.Context, c *dynamodb.Client) error) []byte {
	t.Helper()
	db, err := stator.Open("", stator.Memory())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var b bytes.Buffer
	r, err := NewRecorder(db.Handler(), &b, hashed)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r)
	defer srv.Close()
	c := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), HTTPClient: http.DefaultClient})
	if err := do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// One item is put, read, updated and deleted: four operations on one key, whatever else its item has, and one that
// fails, which is not recorded.
func work(ctx context.Context, c *dynamodb.Client) error {
	_, err := c.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: aws.String("people"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}}, KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}}})
	if err != nil {
		return err
	}
	key, table := map[string]types.AttributeValue{"id": str("alice-secret")}, aws.String("people")
	_, err = c.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{"id": str("alice-secret"), "text": str(string(make([]byte, 500)))}})
	_, err1 := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: key})
	_, err2 := c.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: table, Key: key, UpdateExpression: aws.String("SET a = :b"), ExpressionAttributeValues: map[string]types.AttributeValue{":b": str("x")}})
	_, err3 := c.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"people": {
		{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{"id": str("bob"), "x": str("y")}}}, {PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{"id": str("carol")}}}}}})
	_, err4 := c.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key})
	if _, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("nobody"), Key: key}); err == nil {
		return errors.New("a table that is not there was read")
	}
	_, err5 := c.Scan(ctx, &dynamodb.ScanInput{TableName: table, Limit: aws.Int32(7)})
	return errors.Join(err, err1, err2, err3, err4, err5)
}

func TestRecordAndRead(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		data := record(t, hashed, work)
		if got := bytes.Contains(data, []byte("alice-secret")); got == hashed {
			t.Errorf("hashed %v: the key is in the trace: %v", hashed, got)
		}
		tr, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range tr.Events {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Key, " ", e.Length))
		}
		want := "[put 0 0 get 0 0 add 0 0 putmany 1 2 delete 0 0 scan 2 7]"
		if fmt.Sprint(got) != want || tr.Keys != 3 || tr.Cut || tr.Hashed != hashed || tr.Events[0].Size < 500 {
			t.Errorf("got %v of %d keys, want %s; %+v", got, tr.Keys, want, tr.Events[0])
		}
		for i := 1; i < len(tr.Events); i++ {
			if tr.Events[i].At < tr.Events[i-1].At {
				t.Error("times go back")
			}
		}
	}
}

// A trace that is cut off anywhere is read up to there; one with a flipped byte never gives other
// operations.
func TestCutAndDamaged(t *testing.T) {
	var b bytes.Buffer
	w, err := newWriter(&b, time.UnixMilli(5), false)
	if err != nil {
		t.Fatal(err)
	}
	var want []drive.Event
	for i := range 20 {
		e := entry{at: time.Duration(i) * time.Millisecond, kind: drive.Get, key: []byte{byte(i)}, length: i}
		want = append(want, drive.Event{At: e.at, Kind: e.kind, Key: uint64(i), Length: i})
		if err := w.add(e); err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := b.Bytes()
	prefix := func(tr *Trace) bool {
		for i, e := range tr.Events {
			if e != want[i] {
				return false
			}
		}
		return true
	}
	for n := range whole {
		tr, err := Read(bytes.NewReader(whole[:n]))
		if n < headerBytes {
			var bad *ReadError
			if !errors.As(err, &bad) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			continue
		}
		if err != nil || !prefix(tr) || len(tr.Events)%5 != 0 {
			t.Fatalf("%d bytes: %v, %d events", n, err, len(tr.Events))
		}
	}
	for i := headerBytes; i < len(whole); i++ {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		if tr, err := Read(bytes.NewReader(bad)); err == nil && (!prefix(tr) || !tr.Cut) {
			t.Fatalf("byte %d: %d events", i, len(tr.Events))
		}
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	w, _ := newWriter(&b, time.UnixMilli(5), true)
	w.add(entry{kind: drive.Put, key: []byte("abcdefgh"), size: 100})
	w.flush()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := Read(bytes.NewReader(data))
		if err == nil && tr.Keys > len(tr.Events) {
			t.Fatalf("%d keys in %d events", tr.Keys, len(tr.Events))
		}
		if len(data) > 0 { // a block's checksum hides the parser from damage: ask it as well
			for rest := data; len(rest) > 0; {
				if _, rest, err = parseEntry(rest); err != nil {
					return
				}
			}
		}
	})
}
