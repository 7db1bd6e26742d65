package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The form of a signature, wire-protocol.md section 7.1.
func TestSignatureForm(t *testing.T) {
	const (
		scope = "key/20261122/us-east-1/dynamodb/aws4_request"
		good  = "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=0"
	)
	tests := []struct{ query, date, authorization, want string }{
		{"", testDate, good, ""},
		{"", testDate, strings.ReplaceAll(good, ", ", ","), ""},
		{"", testDate, strings.ReplaceAll(good, ", ", " "), ""},
		{"", testDate, strings.ReplaceAll(good, "us-east-1", "mars-north-7"), ""},
		{"", testDate, strings.ReplaceAll(good, "us-east-1", "mars:north"), "InvalidSignature: Credential should be scoped to a valid region, not 'mars:north'. "},
		{"", "", "", "MissingAuthenticationToken: Request is missing Authentication Token"},
		{"", testDate, "AWS4", "MissingAuthenticationToken: Request is missing Authentication Token"},
		{"", testDate, "AWS3 x", "MissingAuthenticationToken: Request is missing Authentication Token"},
		{"X-Amz-Algorithm=", testDate, good, "InvalidSignature: Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		{"", "", "AWS4-HMAC-SHA256 Credential=a, Signature=b", "IncompleteSignature: Authorization header requires 'SignedHeaders' parameter. " +
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 Credential=a, Signature=b"},
		{"", "yesterday", good, "IncompleteSignature: Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"", testDate, strings.ReplaceAll(good, "=host", "=x-host"), "InvalidSignature: 'Host' must be a 'SignedHeader' in the AWS Authorization."},
		{"", testDate, strings.ReplaceAll(good, "SHA256", "SHA1"), "IncompleteSignature: Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). "},
		{"", testDate, strings.ReplaceAll(good, scope, "key/x"), "IncompleteSignature: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'key/x'"},
		{"", testDate, strings.ReplaceAll(good, scope, "key/20261123/us-east-1/s3/aws5"), "InvalidSignature: Credential should be scoped to correct service: 'dynamodb'. " +
			"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. " +
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261123' != '20261122', from '20261122T100000Z'."},
		{"X-Amz-Algorithm=AWS4-HMAC-SHA256", "", "", "IncompleteSignature: AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. " +
			"AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + scope + "&X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Date=" + testDate, "", "", ""},
	}
	for _, test := range tests {
		r := httptest.NewRequest(http.MethodPost, "/?"+test.query, nil)
		if test.date != "" {
			r.Header.Set("X-Amz-Date", test.date)
		}
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		got := ""
		if _, err := signedBy(r); err != nil {
			f := err.(*fault)
			got = strings.TrimSuffix(f.code, "Exception") + ": " + f.message
		}
		if got != test.want {
			t.Errorf("query %q, date %q, authorization %q:\n got %s\nwant %s", test.query, test.date, test.authorization, got, test.want)
		}
	}
}

func FuzzSignatureForm(f *testing.F) {
	f.Add("", testDate, testSignature)
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=2026", "", "")
	f.Fuzz(func(t *testing.T, query, date, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.RawQuery = query
		r.Header["X-Amz-Date"] = []string{date}
		r.Header["Authorization"] = []string{authorization}
		if who, err := signedBy(r); err == nil {
			if account := accountOf(who.key); len(account) != 12 || strings.Trim(account, "0123456789") != "" || strings.ContainsAny(who.region, "/:") {
				t.Errorf("%+v has account %s", who, account)
			}
		}
	})
}
