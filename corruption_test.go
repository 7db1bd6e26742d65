package stator_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/statordb/stator"
	"github.com/statordb/stator/statortest"
)

var flips = flag.Int("flips", 40, "how many bytes TestFlippedByte flips")

const corruptItems = 300

func corruptItem(i int) map[string]types.AttributeValue {
	it := key(fmt.Sprint("k", i))
	it["v"] = &types.AttributeValueMemberS{Value: fmt.Sprint(i, strings.Repeat("x", i))}
	return it
}

// seedDatabase makes a closed database of several tables and logs.
func seedDatabase(t *testing.T, dir string) {
	t.Helper()
	for _, part := range []int{0, 1, 2} { // each Close leaves one more sorted table
		db, err := stator.Open(dir, stator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := statortest.Client(db)
		if part == 0 {
			createTable(t, c, "things")
		}
		for i := part; i < corruptItems; i += 3 {
			if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("things"), Item: corruptItem(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlippedByte flips one byte anywhere in the files of a closed database.
// The start or the reads that touch it say which file and where; everything
// else is as it was, and nothing panics.
func TestFlippedByte(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	seedDatabase(t, dir)
	files := regularFiles(t, dir)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range *flips {
		name := files[r.IntN(len(files))]
		copied := filepath.Join(t.TempDir(), "db")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(copied, name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		used := len(strings.TrimRight(string(content), "\x00")) + 64 // the rest is preallocated
		at := r.IntN(min(used, len(content)))
		content[at] ^= byte(1 + r.IntN(255))
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) { checkDamaged(t, copied, name) })
		os.RemoveAll(copied)
	}
}

func regularFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if info, e := d.Info(); e == nil && info.Mode().IsRegular() && info.Size() > 0 {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkDamaged reads every item of a database with one damaged file.
func checkDamaged(t *testing.T, dir, damaged string) {
	db, err := stator.Open(dir, stator.Options{})
	if err != nil {
		t.Log(err)
		requireNames(t, err.Error(), damaged)
		return
	}
	defer db.Close()
	c := statortest.Client(db, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	for i := range corruptItems {
		out, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("things"), Key: key(fmt.Sprint("k", i))})
		var api smithy.APIError
		switch {
		case errors.As(err, &api):
			t.Log(api.ErrorMessage())
			requireNames(t, api.ErrorMessage(), damaged)
		case err != nil:
			t.Fatal(err)
		case out.Item == nil:
			t.Fatalf("item %d is gone without an error", i)
		case out.Item["v"].(*types.AttributeValueMemberS).Value != corruptItem(i)["v"].(*types.AttributeValueMemberS).Value:
			t.Fatalf("item %d has a wrong value", i)
		}
	}
}

// requireNames checks that a message says what is damaged, and where.
func requireNames(t *testing.T, message, damaged string) {
	t.Helper()
	if !strings.Contains(message, filepath.Base(damaged)) {
		t.Errorf("the error does not name %s: %s", damaged, message)
	}
}
