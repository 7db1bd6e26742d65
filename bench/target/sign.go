package target

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"
)

// Credentials sign requests. The zero value is "any", which servers without users accept.
type Credentials struct {
	Key, Secret, Token string
	Region             string // default us-east-1
}

func (c Credentials) withDefaults() Credentials {
	if c.Key == "" {
		c.Key, c.Secret = "any", "any"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	return c
}

// A signer makes signatures of version 4. It keeps what is the same for a second, for a day and for an operation, so that a request
// costs three hashes and no memory: in a closed loop all that a client does besides makes the server look slower.
type signer struct {
	c    Credentials
	host string

	second int64 // Unix time of date
	date   []byte
	scope  string    // of the day
	mac    hash.Hash // with the key of the day
	sha    hash.Hash

	target, head string // head: the canonical request up to the date, and what stands behind it
	between      string

	buf, sums, authorization []byte
}

func newSigner(c Credentials, host string) *signer {
	return &signer{c: c.withDefaults(), host: host, sha: sha256.New()}
}

// signed are the headers of one request that the signature covers, and the signature. They are valid until the next one.
type signed struct{ date, authorization []byte }

func (s *signer) sign(now time.Time, target string, body []byte) signed {
	if unix := now.Unix(); unix != s.second || s.date == nil {
		s.tick(now.UTC(), unix)
	}
	if target != s.target || s.head == "" {
		s.aim(target)
	}
	b := append(s.buf[:0], s.head...)
	b = append(b, s.date...)
	b = append(b, s.between...)
	b = s.appendSum(b, body)
	canonical := len(b)
	b = append(b, "AWS4-HMAC-SHA256\n"...)
	b = append(append(b, s.date...), '\n')
	b = append(append(b, s.scope...), '\n')
	b = s.appendSum(b, b[:canonical])
	s.mac.Reset()
	s.mac.Write(b[canonical:])
	s.sums = s.mac.Sum(s.sums[:0])
	s.buf = b
	b = append(s.authorization[:0], "AWS4-HMAC-SHA256 Credential="...)
	b = append(append(b, s.c.Key...), '/')
	b = append(b, s.scope...)
	b = append(append(b, ", SignedHeaders="...), s.names()...)
	b = hex.AppendEncode(append(b, ", Signature="...), s.sums)
	s.authorization = b
	return signed{s.date, b}
}

// tick begins a second, and perhaps a day.
func (s *signer) tick(now time.Time, unix int64) {
	s.second, s.date = unix, now.AppendFormat(s.date[:0], "20060102T150405Z")
	day := string(s.date[:8])
	scope := day + "/" + s.c.Region + "/dynamodb/aws4_request"
	if scope == s.scope {
		return
	}
	s.scope = scope
	key := []byte("AWS4" + s.c.Secret)
	for _, part := range []string{day, s.c.Region, "dynamodb", "aws4_request"} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	s.mac = hmac.New(sha256.New, key)
}

// aim begins another operation.
func (s *signer) aim(target string) {
	token := ""
	if s.c.Token != "" {
		token = "x-amz-security-token:" + s.c.Token + "\n"
	}
	s.target = target
	s.head = "POST\n/\n\ncontent-type:" + contentType + "\nhost:" + s.host + "\nx-amz-date:"
	s.between = "\n" + token + "x-amz-target:" + target + "\n\n" + s.names() + "\n"
}

// names are the headers that are signed.
func (s *signer) names() string {
	if s.c.Token != "" {
		return "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
	}
	return "content-type;host;x-amz-date;x-amz-target"
}

const contentType = "application/x-amz-json-1.0"

// appendSum appends the hash of what is given, in hexadecimal digits.
func (s *signer) appendSum(to, of []byte) []byte {
	s.sha.Reset()
	s.sha.Write(of)
	s.sums = s.sha.Sum(s.sums[:0])
	return hex.AppendEncode(to, s.sums)
}
