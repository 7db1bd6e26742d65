package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

const createABC = `{"TableName":"abc","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}]}`

// must sends a request that has to succeed.
func must(t testing.TB, s *Server, operation, body string) string {
	t.Helper()
	status, answer := call(t, s.Handler(), operation, body)
	if status != 200 {
		t.Fatalf("%s %.200s: %d %s", operation, body, status, answer)
	}
	return answer
}

// What was acknowledged is there after the database was closed, whichever way
// it syncs.
func TestReopen(t *testing.T) {
	for _, mode := range []string{"always", "interval", "never"} {
		sync, err := ParseSyncMode(mode)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Dir: filepath.Join(t.TempDir(), "data"), Sync: sync}
		for round := range 3 {
			s, err := Open(o)
			if err != nil {
				t.Fatalf("%s, round %d: %v", mode, round, err)
			}
			if round == 0 {
				must(t, s, "CreateTable", createABC)
			}
			must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"abc","Item":{"p":{"S":"round %d"}}}`, round))
			if got, want := must(t, s, "Scan", `{"TableName":"abc","Select":"COUNT"}`), fmt.Sprintf(`{"Count":%d,"ScannedCount":%d}`, round+1, round+1); got != want {
				t.Errorf("%s, round %d: got %s, want %s", mode, round, got, want)
			}
			if err := s.Close(); err != nil {
				t.Fatalf("%s, round %d: close: %v", mode, round, err)
			}
		}
	}
}

func TestParseSyncMode(t *testing.T) {
	if _, err := ParseSyncMode("sometimes"); err == nil {
		t.Error("sometimes is accepted")
	}
}

// A directory has one user at a time, and a failed attempt leaves it usable.
func TestLocked(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second open: got %v, want %v", err, vfs.ErrLocked)
	}
	must(t, s, "ListTables", "{}")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrNotDatabase) {
			t.Errorf("got %v, want %v", err, ErrNotDatabase)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "LOCK")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock was left in a directory that is not ours: %v", err)
	}
}

// The root of a fresh file system is as good as an empty directory.
func TestMountPoint(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// After Close requests are told to come again, not that something broke.
func TestClosed(t *testing.T) {
	s, err := Open(Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	must(t, s, "CreateTable", createABC)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for operation, body := range map[string]string{
		"GetItem":    `{"TableName":"abc","Key":{"p":{"S":"x"}}}`,
		"PutItem":    `{"TableName":"abc","Item":{"p":{"S":"x"}}}`,
		"ListTables": `{}`,
	} {
		if status, answer := call(t, s.Handler(), operation, body); status != 503 || answer != "" {
			t.Errorf("%s: got %d %s, want an empty 503", operation, status, answer)
		}
	}
}

// Many clients at once: every write is acknowledged and there.
func TestConcurrentClients(t *testing.T) {
	const clients, writes = 8, 50
	s := openMemory(t)
	must(t, s, "CreateTable", strings.Replace(createABC, `"KeySchema"`, `"Tags":[{"Key":"stator:partitions","Value":"4"}],"KeySchema"`, 1))
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for w := range writes {
				key := fmt.Sprintf(`{"p":{"S":"%d-%d"}}`, c, w)
				if status, answer := call(t, s.Handler(), "PutItem", `{"TableName":"abc","Item":`+key+`}`); status != 200 {
					t.Errorf("put: %d %s", status, answer)
				}
				if status, answer := call(t, s.Handler(), "UpdateItem", `{"TableName":"abc","Key":{"p":{"S":"count"}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`); status != 200 {
					t.Errorf("update: %d %s", status, answer)
				}
				if got, want := must(t, s, "GetItem", `{"TableName":"abc","Key":`+key+`,"ConsistentRead":true}`), `{"Item":`+key+`}`; got != want {
					t.Errorf("get: got %s, want %s", got, want)
				}
			}
		})
	}
	group.Wait()
	got := must(t, s, "GetItem", `{"TableName":"abc","Key":{"p":{"S":"count"}},"ConsistentRead":true}`)
	if want := fmt.Sprintf(`"n":{"N":"%d"}`, clients*writes); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

// The largest item, and pages that end at 1 MB.
func TestLargeItems(t *testing.T) {
	s := openMemory(t)
	must(t, s, "CreateTable", createABC)
	value := strings.Repeat("x", 400<<10-len("p")-len("a")-len("big0"))
	for i := range 4 {
		must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"abc","Item":{"p":{"S":"big%d"},"a":{"S":"%s"}}}`, i, value))
	}
	if status, answer := call(t, s.Handler(), "PutItem", `{"TableName":"abc","Item":{"p":{"S":"big0"},"a":{"S":"`+value+`x"}}}`); status != 400 || !strings.Contains(answer, "Item size has exceeded") {
		t.Errorf("one byte more: got %d %s", status, answer)
	}
	page := must(t, s, "Scan", `{"TableName":"abc"}`)
	if n := strings.Count(page, `"p":{"S":"big`); n != 4 || !strings.Contains(page, `"Count":3`) {
		t.Errorf("a page has %d keys (3 items and the last key expected) and count %.40s", n, page)
	}
}
