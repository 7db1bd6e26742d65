package server

import (
	"net/http"
	"net/url"
	"strings"
)

// A signature is what a request says about its own signing, in the
// Authorization header or in the query of a pre-signed URL.
type signature struct {
	algorithm     string // AWS4-HMAC-SHA256
	credential    string // keyid/date/region/service/term
	signedHeaders string // host;x-amz-date;...
	signature     string
	date          string // 20150830T123600Z
}

const algorithm = "AWS4-HMAC-SHA256"

// signedBy returns who signed a request. It makes the checks of Signature
// Version 4 that need neither keys nor a clock, in DynamoDB's order and words.
// Any key and any signature of the right form is accepted, as long as no users
// are configured.
func signedBy(r *http.Request) (caller, error) {
	header := firstHeader(r, "Authorization")
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm")
	if !presigned {
		if !strings.HasPrefix(header, "AWS4-") {
			return caller{}, authFault("MissingAuthenticationToken", "Request is missing Authentication Token")
		}
		s, err := headerSignature(r, header)
		if err != nil {
			return caller{}, err
		}
		return s.check()
	}
	if header != "" {
		return caller{}, authFault("InvalidSignature",
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	}
	s, err := querySignature(r.URL.Query())
	if err != nil {
		return caller{}, err
	}
	return s.check()
}

func firstHeader(r *http.Request, canonical string) string {
	if v := r.Header[canonical]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// headerSignature reads
//
//	AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...
//
// whose parts may be separated by commas, blanks or both.
func headerSignature(r *http.Request, header string) (signature, error) {
	var s signature
	rest := header
	s.algorithm, rest = nextToken(rest)
	for rest != "" {
		var token string
		token, rest = nextToken(rest)
		name, value, _ := strings.Cut(token, "=")
		switch name {
		case "Credential":
			s.credential = value
		case "SignedHeaders":
			s.signedHeaders = value
		case "Signature":
			s.signature = value
		}
	}
	if s.date = firstHeader(r, "X-Amz-Date"); s.date == "" {
		s.date = firstHeader(r, "Date")
	}
	return s, s.completeHeader(header)
}

// nextToken cuts the first run of characters that are neither commas nor blanks.
func nextToken(s string) (token, rest string) {
	s = strings.TrimLeft(s, ", \t")
	if i := strings.IndexAny(s, ", \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], ", \t")
	}
	return s, ""
}

func (s *signature) completeHeader(header string) error {
	if s.credential != "" && s.signature != "" && s.signedHeaders != "" && s.date != "" {
		return nil
	}
	var b strings.Builder
	require := func(value, name string) {
		if value == "" {
			b.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	require(s.credential, "Credential")
	require(s.signature, "Signature")
	require(s.signedHeaders, "SignedHeaders")
	if s.date == "" {
		b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	b.WriteString("Authorization=" + header)
	return authFault("IncompleteSignature", b.String())
}

func querySignature(q url.Values) (signature, error) {
	s := signature{
		algorithm:     q.Get("X-Amz-Algorithm"),
		credential:    q.Get("X-Amz-Credential"),
		signature:     q.Get("X-Amz-Signature"),
		signedHeaders: q.Get("X-Amz-SignedHeaders"),
		date:          q.Get("X-Amz-Date"),
	}
	var b strings.Builder
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if q.Get(name) == "" {
			b.WriteString("AWS query-string parameters must include '" + name + "'. ")
		}
	}
	if b.Len() == 0 {
		return s, nil
	}
	return s, authFault("IncompleteSignature", b.String()+"Re-examine the query-string parameters.")
}

// check looks at a complete signature.
func (s *signature) check() (caller, error) {
	switch {
	case !isBasicISO(s.date):
		return caller{}, authFault("IncompleteSignature",
			"Date must be in ISO-8601 'basic format'. Got '"+s.date+"'. See http://en.wikipedia.org/wiki/ISO_8601")
	case !signsHost(s.signedHeaders):
		return caller{}, authFault("InvalidSignature", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	case s.algorithm != algorithm:
		return caller{}, authFault("IncompleteSignature",
			"Unsupported AWS 'algorithm': '"+s.algorithm+"' (only AWS4-HMAC-SHA256 for now). ")
	}
	return s.checkScope()
}

// checkScope checks keyid/date/region/service/term.
func (s *signature) checkScope() (caller, error) {
	if strings.Count(s.credential, "/") != 4 {
		return caller{}, authFault("IncompleteSignature",
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '"+s.credential+"'")
	}
	key, rest, _ := strings.Cut(s.credential, "/")
	date, rest, _ := strings.Cut(rest, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, term, _ := strings.Cut(rest, "/")
	if isRegion(region) && service == "dynamodb" && term == "aws4_request" && date == s.date[:8] {
		return caller{key, region}, nil
	}
	var b strings.Builder
	if !isRegion(region) {
		b.WriteString("Credential should be scoped to a valid region, not '" + region + "'. ")
	}
	if service != "dynamodb" {
		b.WriteString("Credential should be scoped to correct service: 'dynamodb'. ")
	}
	if term != "aws4_request" {
		b.WriteString("Credential should be scoped with a valid terminator: 'aws4_request', not '" + term + "'. ")
	}
	if date != s.date[:8] {
		b.WriteString("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			date + "' != '" + s.date[:8] + "', from '" + s.date + "'.")
	}
	return caller{}, authFault("InvalidSignature", b.String())
}

// isBasicISO accepts 20150830T123600Z.
func isBasicISO(s string) bool {
	const form = "00000000T000000Z"
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		switch digit := form[i] == '0'; {
		case digit && (s[i] < '0' || s[i] > '9'), !digit && s[i] != form[i]:
			return false
		}
	}
	return true
}

func signsHost(signedHeaders string) bool {
	for name := range strings.SplitSeq(signedHeaders, ";") {
		if strings.EqualFold(name, "host") {
			return true
		}
	}
	return false
}
