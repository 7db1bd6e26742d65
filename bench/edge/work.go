package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A workload is a kind of request.
type workload struct {
	name      string
	operation string
	writes    bool
	bodies    [][]byte // sent in turn
	least     int      // bytes of an answer
}

const (
	// items are in table edge-items by number, and again in edge-lists in
	// groups of listItems.
	items     = 5000
	listItems = 10

	variants = 512 // bodies of a workload
)

const createItems = `{"TableName":"edge-items","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],` +
	`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`

const createLists = `{"TableName":"edge-lists","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],` +
	`"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"}]}`

// attributes is about 1 KB in ten attributes, two of them the key.
func attributes(key string, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{%s,"n":{"N":"%d"}`, key, i)
	for a := range 8 {
		fmt.Fprintf(&b, `,"attr%d":{"S":"%s"}`, a, strings.Repeat(string(rune('a'+a)), 112))
	}
	return b.String() + "}"
}

func itemKey(i int) string { return fmt.Sprintf(`"pk":{"S":"key%09d"}`, i) }

func listKey(i int) string {
	return fmt.Sprintf(`"pk":{"S":"list%06d"},"sk":{"N":"%d"}`, i/listItems, i%listItems)
}

func item(i int) string { return attributes(itemKey(i), i) }

// spread makes a list of bodies of numbers that lie all over the items.
func spread(body func(i int) string) [][]byte {
	list := make([][]byte, variants)
	for v := range list {
		list[v] = []byte(body(v * 2654435761 % items))
	}
	return list
}

func batchWrite(table string, from, n int, one func(i int) string) string {
	puts := make([]string, n)
	for k := range puts {
		puts[k] = `{"PutRequest":{"Item":` + one((from+k)%items) + `}}`
	}
	return `{"RequestItems":{"` + table + `":[` + strings.Join(puts, ",") + `]}}`
}

func workloads() []*workload {
	return []*workload{
		{name: "GetItem", operation: "GetItem", least: 1000,
			bodies: spread(func(i int) string { return `{"TableName":"edge-items","Key":{` + itemKey(i) + `}}` })},
		{name: "PutItem", operation: "PutItem", least: 2, writes: true,
			bodies: spread(func(i int) string { return `{"TableName":"edge-items","Item":` + item(i) + `}` })},
		{name: "UpdateItem", operation: "UpdateItem", least: 2, writes: true,
			bodies: spread(func(i int) string {
				return `{"TableName":"edge-items","Key":{` + itemKey(i) + `},"UpdateExpression":"SET n = n + :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`
			})},
		{name: "Query 10", operation: "Query", least: 10_000,
			bodies: spread(func(i int) string {
				return fmt.Sprintf(`{"TableName":"edge-lists","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"list%06d"}}}`, i/listItems)
			})},
		{name: "BatchGet 100", operation: "BatchGetItem", least: 100_000,
			bodies: spread(func(i int) string {
				keys := make([]string, 100)
				for k := range keys {
					keys[k] = "{" + itemKey((i+k*37)%items) + "}"
				}
				return `{"RequestItems":{"edge-items":{"Keys":[` + strings.Join(keys, ",") + `]}}}`
			})},
		{name: "BatchWrite 25", operation: "BatchWriteItem", least: 2, writes: true,
			bodies: spread(func(i int) string { return batchWrite("edge-items", i, 25, item) })},
		{name: "Scan", operation: "Scan", least: 1_000_000, // a page of 1 MB
			bodies: [][]byte{[]byte(`{"TableName":"edge-items"}`)}},
	}
}

// load makes the tables and fills them.
func load(url string) error {
	for _, t := range []struct {
		name, create string
		one          func(int) string
	}{
		{"edge-items", createItems, item},
		{"edge-lists", createLists, func(i int) string { return attributes(listKey(i), i) }},
	} {
		if err := createTable(url, t.name, t.create); err != nil {
			return err
		}
		for i := 0; i < items; i += 25 {
			answer, err := call(url, "BatchWriteItem", []byte(batchWrite(t.name, i, 25, t.one)))
			if err != nil {
				return err
			}
			if bytes.Contains(answer, []byte("PutRequest")) {
				return fmt.Errorf("%s: unprocessed items", url)
			}
		}
	}
	return nil
}

// createTable makes a table unless it is there, and waits until it can be used.
func createTable(url, name, request string) error {
	if _, err := call(url, "CreateTable", []byte(request)); err != nil && !strings.Contains(err.Error(), "ResourceInUse") {
		return err
	}
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		answer, err := call(url, "DescribeTable", []byte(`{"TableName":"`+name+`"}`))
		if err != nil {
			return err
		}
		if bytes.Contains(answer, []byte(`"ACTIVE"`)) {
			return nil
		}
	}
	return fmt.Errorf("%s: table %s does not become active", url, name)
}
