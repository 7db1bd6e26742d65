package server

import (
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// What clients are told about a table that is being created, and about one that
// is being deleted; each operation under its own error.
func TestTransitionAnswers(t *testing.T) {
	fs := vfs.NewMem()
	var s *Server
	restart := func() {
		t.Helper()
		var err error
		if s != nil {
			err = s.Close()
		}
		if err == nil {
			s, err = OpenOn(env.New(), fs, Options{Shared: true, TableDelay: time.Hour})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	restart()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const (
		inUse   = `ResourceInUseException","message":"Attempt to change a resource which is still in use: Table is being `
		named   = `{"TableName":"abc"}`
		arn     = `"ResourceArn":"arn:aws:dynamodb:us-east-1:000000000000:table/abc"`
		ttl     = `{"TableName":"abc","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`
		backups = `{"TableName":"abc","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}}`
		policy  = `,"Policy":"{\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}"`
		getAny  = `{"TableName":"abc","Key":{"p":{"S":"x"}}}`
	)
	check := func(state, operation, body, want string) {
		t.Helper()
		if _, got := call(t, s.Handler(), operation, body); !strings.Contains(got, want) {
			t.Errorf("%s, %s %s: %s, want %s", state, operation, body, got, want)
		}
	}
	must(t, s, "CreateTable", createABC)
	for _, c := range []struct{ operation, body, want string }{
		{"DescribeTable", named, `"TableStatus":"CREATING"`},
		{"ListTables", `{}`, `{"TableNames":["abc"]}`},
		{"CreateTable", createABC, `ResourceInUseException","message":"Table already exists: abc"`},
		{"DeleteTable", named, inUse + "created: abc"},
		{"UpdateTable", `{"TableName":"abc","TableClass":"STANDARD"}`, inUse + "created: abc"},
		{"UpdateTimeToLive", ttl, inUse + "created: abc"},
		{"TagResource", `{` + arn + `,"Tags":[{"Key":"a","Value":"b"}]}`, inUse + "created: abc"},
		{"PutResourcePolicy", `{` + arn + policy + `}`, inUse + "created: abc"},
		{"UpdateContinuousBackups", backups, `ContinuousBackupsUnavailableException","message":"Backups are being enabled for the table: abc. Please retry later"`},
		{"DescribeTimeToLive", named, `"DISABLED"`},
		{"ListTagsOfResource", `{` + arn + `}`, `{"Tags":[]}`},
		{"GetItem", getAny, `ResourceNotFoundException","message":"Requested resource not found"`},
		{"Scan", named, `ResourceNotFoundException","message":"Requested resource not found"`},
	} {
		check("creating", c.operation, c.body, c.want)
	}
	restart() // ends it sooner than waiting would
	check("active", "DescribeTable", named, `"TableStatus":"ACTIVE"`)
	must(t, s, "DeleteTable", named)
	for _, c := range []struct{ operation, body, want string }{
		{"DescribeTable", named, `"TableStatus":"DELETING"`},
		{"ListTables", `{}`, `{"TableNames":["abc"]}`},
		{"CreateTable", createABC, `Table already exists: abc`},
		{"DeleteTable", named, inUse + "deleted: abc"},
		{"UpdateTimeToLive", ttl, inUse + "deleted: abc"},
		{"UpdateContinuousBackups", backups, `TableNotFoundException","message":"Table not found: abc"`},
		{"GetItem", getAny, `ResourceNotFoundException","message":"Requested resource not found"`},
	} {
		check("deleting", c.operation, c.body, c.want)
	}
}
