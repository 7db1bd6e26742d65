package target

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// A signer makes signatures of version 4. It keeps the key of the day, so that a request
// costs three hashes.
type signer struct {
	c    Credentials
	host string
	day  string
	key  []byte
	sha  hash.Hash
}

func newSigner(c Credentials, host string) *signer {
	return &signer{c: c.withDefaults(), host: host, sha: sha256.New()}
}

// signed are the headers of one request that the signature covers, and the signature.
type signed struct{ date, authorization string }

func (s *signer) sign(now time.Time, target string, body []byte) signed {
	now = now.UTC()
	date := now.Format("20060102T150405Z")
	if day := date[:8]; day != s.day {
		s.day, s.key = day, []byte("AWS4"+s.c.Secret)
		for _, part := range []string{day, s.c.Region, "dynamodb", "aws4_request"} {
			s.key = mac(s.key, part)
		}
	}
	token, names := "", "content-type;host;x-amz-date;x-amz-target"
	if s.c.Token != "" {
		token, names = "x-amz-security-token:"+s.c.Token+"\n", "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
	}
	canonical := fmt.Sprintf("POST\n/\n\ncontent-type:%s\nhost:%s\nx-amz-date:%s\n%sx-amz-target:%s\n\n%s\n%s",
		contentType, s.host, date, token, target, names, s.sum(body))
	scope := s.day + "/" + s.c.Region + "/dynamodb/aws4_request"
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + s.sum([]byte(canonical))
	return signed{date, "AWS4-HMAC-SHA256 Credential=" + s.c.Key + "/" + scope + ", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(mac(s.key, text))}
}

const contentType = "application/x-amz-json-1.0"

func (s *signer) sum(b []byte) string {
	s.sha.Reset()
	s.sha.Write(b)
	return hex.EncodeToString(s.sha.Sum(nil))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
