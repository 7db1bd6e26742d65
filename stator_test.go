package stator_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/statordb/stator"
	"github.com/statordb/stator/statortest"
)

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
}

func key(s string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: s}}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	db, err := stator.Open(dir, stator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := statortest.Client(db)
	createTable(t, c, "things")
	if _, err := c.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("things"), Item: key("a")}); err != nil {
		t.Fatal(err)
	}
	if _, err := stator.Open(dir, stator.Options{}); err == nil {
		t.Error("the directory could be opened twice")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("things"), Key: key("a")}); err == nil {
		t.Error("a closed database answered")
	}
	if db, err = stator.Open(dir, stator.Options{}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out, err := statortest.Client(db).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("things"), Key: key("a")})
	if err != nil || len(out.Item) != 1 {
		t.Errorf("after reopening: %v, %v", out, err)
	}
}

func TestMemoryDatabasesAreSeparate(t *testing.T) {
	one, two := statortest.New(t), statortest.New(t)
	createTable(t, one, "things")
	var missing *types.ResourceNotFoundException
	_, err := two.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("things")})
	if !errors.As(err, &missing) {
		t.Errorf("the other database's table: error %v, want ResourceNotFoundException", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if _, err := stator.Open("", stator.Options{}); err == nil {
		t.Error("no directory was taken for the current one")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("Open left %v behind, %v", entries, err)
	}
	if err := os.WriteFile("letter.txt", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := stator.Open(dir, stator.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory of other files: %v; want an error that names it", err)
	}
}

func TestCloseTwice(t *testing.T) {
	db, err := stator.Open(t.TempDir()+"/a/b", stator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
