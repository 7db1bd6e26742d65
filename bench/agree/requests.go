package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// requests are ready to be sent.
type requests struct {
	addr       string
	gets, puts [][]byte
}

const table = "agree-independent"

// newRequests makes and fills a table like that of package target.
func newRequests(addr string) (*requests, error) {
	r := &requests{addr: addr}
	for i := range keys {
		key := fmt.Sprintf(`"pk":{"S":"%032x"}`, i)
		r.gets = append(r.gets, r.request("GetItem", `{"TableName":"`+table+`","ConsistentRead":true,"Key":{`+key+`}}`))
		half := make([]byte, valueSize/2)
		for j := range half {
			half[j] = byte(rand.Uint32())
		}
		value := base64.StdEncoding.EncodeToString(slices.Concat(half, half))
		r.puts = append(r.puts, r.request("PutItem", `{"TableName":"`+table+`","Item":{`+key+`,"v":{"B":"`+value+`"},"n":{"N":"0"},"p":{"N":"`+strconv.Itoa(i%100)+`"}}}`))
	}
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	create := `{"TableName":"` + table + `","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`
	if err := c.do(r.request("CreateTable", create)); err != nil {
		return nil, err
	}
	for describe := r.request("DescribeTable", `{"TableName":"`+table+`"}`); ; time.Sleep(20 * time.Millisecond) {
		if err := c.do(describe); err != nil {
			return nil, err
		}
		if bytes.Contains(c.body, []byte(`"ACTIVE"`)) {
			break
		}
	}
	for _, put := range r.puts {
		if err := c.do(put); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// request is one whose signature is no signature: the server takes any.
func (r *requests) request(operation, body string) []byte {
	now := time.Now().UTC()
	return []byte("POST / HTTP/1.1\r\nHost: " + r.addr + "\r\nContent-Type: application/x-amz-json-1.0\r\nAccept-Encoding: identity\r\nX-Amz-Target: DynamoDB_20120810." + operation +
		"\r\nX-Amz-Date: " + now.Format("20060102T150405Z") + "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=any/" + now.Format("20060102") +
		"/us-east-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + strings.Repeat("0", 64) +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// of are those of a load.
func (r *requests) of(l load) [][]byte {
	if l.put {
		return r.puts
	}
	return r.gets
}
