package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// An APIError is an error answer of the service.
type APIError struct {
	Status  int
	Type    string // without its namespace
	Message string
}

func (e *APIError) Error() string { return e.Type + ": " + e.Message }

// retryable reports whether the same request may succeed later.
func (e *APIError) retryable() bool {
	switch e.Type {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded":
		return true
	}
	return e.Status >= 500
}

// A client speaks just enough of the protocol to describe, create and fill a
// table. It signs nothing: a server without IAM accepts any credentials.
type client struct {
	http     *http.Client
	endpoint string
	key      string      // access key; "" = any
	region   string      // "" = us-east-1
	answered atomic.Bool // the service has answered at least once
}

// maxTries bounds the retries of one call: about 12 s in all, enough for a
// restart of the server. A server that never answered is not waited for.
const maxTries = 9

func (c *client) call(ctx context.Context, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		err := c.once(ctx, op, body, out)
		if err == nil || try == maxTries || ctx.Err() != nil || !c.mayHelp(err) {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// mayHelp reports whether another try may have more luck.
func (c *client) mayHelp(err error) bool {
	var api *APIError
	if errors.As(err, &api) {
		return api.retryable()
	}
	return c.answered.Load()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *client) once(ctx context.Context, op string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+op)
	date := time.Now().UTC()
	req.Header.Set("X-Amz-Date", date.Format("20060102T150405Z"))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+cmp.Or(c.key, "any")+"/"+date.Format("20060102")+"/"+
		cmp.Or(c.region, "us-east-1")+"/dynamodb/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	c.answered.Store(true)
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return apiError(res.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: answer is not JSON: %w", op, err)
	}
	return nil
}

func apiError(status int, answer []byte) error {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &e) != nil || e.Type == "" {
		return &APIError{status, http.StatusText(status), strings.TrimSpace(string(answer))}
	}
	return &APIError{status, e.Type[strings.LastIndexByte(e.Type, '#')+1:], e.Message}
}

// A Key names one key attribute and its type.
type Key struct{ Name, Type string }

func (k Key) String() string { return k.Name + ":" + k.Type }

type tableInfo struct {
	Table struct {
		TableStatus string
		TableId     string
		KeySchema   []struct{ AttributeName, KeyType string }

		AttributeDefinitions []struct{ AttributeName, AttributeType string }
	}
}

// describe returns the table's key attributes, partition key first, and its id.
func (c *client) describe(ctx context.Context, table string) (keys []Key, id string, err error) {
	var t tableInfo
	if err := c.call(ctx, "DescribeTable", map[string]string{"TableName": table}, &t); err != nil {
		return nil, "", err
	}
	for _, k := range t.Table.KeySchema {
		for _, a := range t.Table.AttributeDefinitions {
			if a.AttributeName == k.AttributeName {
				keys = append(keys, Key{a.AttributeName, a.AttributeType})
			}
		}
	}
	return keys, t.Table.TableId, nil
}

// create makes an on-demand table, waits until it is active and returns its id.
func (c *client) create(ctx context.Context, table string, keys []Key) (id string, err error) {
	var schema, defs []map[string]string
	for i, k := range keys {
		schema = append(schema, map[string]string{"AttributeName": k.Name, "KeyType": [...]string{"HASH", "RANGE"}[i]})
		defs = append(defs, map[string]string{"AttributeName": k.Name, "AttributeType": k.Type})
	}
	in := map[string]any{"TableName": table, "KeySchema": schema, "AttributeDefinitions": defs, "BillingMode": "PAY_PER_REQUEST"}
	if err := c.call(ctx, "CreateTable", in, new(any)); err != nil {
		return "", err
	}
	for {
		var t tableInfo
		if err := c.call(ctx, "DescribeTable", map[string]string{"TableName": table}, &t); err != nil {
			return "", err
		}
		if t.Table.TableStatus == "ACTIVE" {
			return t.Table.TableId, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return "", err
		}
	}
}

type putRequest struct {
	PutRequest struct{ Item map[string]json.RawMessage }
}

// write stores up to 25 items with different keys; it returns when all are
// acknowledged.
func (c *client) write(ctx context.Context, table string, items []map[string]json.RawMessage) error {
	puts := make([]putRequest, len(items))
	for i, it := range items {
		puts[i].PutRequest.Item = it
	}
	wait := 20 * time.Millisecond
	for {
		var out struct{ UnprocessedItems map[string][]putRequest }
		in := map[string]any{"RequestItems": map[string]any{table: puts}}
		if err := c.call(ctx, "BatchWriteItem", in, &out); err != nil {
			return err
		}
		if puts = out.UnprocessedItems[table]; len(puts) == 0 {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, time.Second)
	}
}

// put stores one item.
func (c *client) put(ctx context.Context, table string, item map[string]json.RawMessage) error {
	return c.call(ctx, "PutItem", map[string]any{"TableName": table, "Item": item}, new(any))
}
