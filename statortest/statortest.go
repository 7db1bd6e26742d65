// Package statortest gives tests a DynamoDB client of the AWS SDK for Go v2 on
// a database of their own: in memory, without a socket, gone with the test.
//
//	func TestOrders(t *testing.T) {
//		client := statortest.New(t)
//		// create tables, call the code under test with client
//	}
package statortest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/statordb/stator"
)

// New returns a client on a fresh in-memory database that is closed when the
// test ends. Further options are applied after Stator's own.
func New(t testing.TB, options ...func(*dynamodb.Options)) *dynamodb.Client {
	t.Helper()
	db, err := stator.Open("", stator.Memory())
	if err != nil {
		t.Fatalf("statortest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("statortest: close: %v", err)
		}
	})
	return Client(db, options...)
}

// Client returns a client on an open database.
func Client(db *stator.DB, options ...func(*dynamodb.Options)) *dynamodb.Client {
	own := dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://stator"),
		Credentials:  credentials.NewStaticCredentialsProvider("stator", "stator", ""),
		HTTPClient:   db.HTTPClient(),
	}
	return dynamodb.New(own, options...)
}
