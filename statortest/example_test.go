package statortest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/statordb/stator/statortest"
)

// countVisit is the code under test.
func countVisit(t *testing.T, client *dynamodb.Client, page string) string {
	out, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:                 aws.String("Visits"),
		Key:                       map[string]types.AttributeValue{"page": &types.AttributeValueMemberS{Value: page}},
		UpdateExpression:          aws.String("ADD visits :one"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["visits"].(*types.AttributeValueMemberN).Value
}

// A test on a database of its own.
func ExampleNew() {
	test := func(t *testing.T) {
		client := statortest.New(t)
		_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
			TableName:            aws.String("Visits"),
			BillingMode:          types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("page"), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("page"), KeyType: types.KeyTypeHash}},
		})
		if err != nil {
			t.Fatal(err)
		}
		countVisit(t, client, "/")
		if got := countVisit(t, client, "/"); got != "2" {
			t.Errorf("second visit counted as %s", got)
		}
	}
	testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "TestVisits", F: test}})
	// Output:
}
