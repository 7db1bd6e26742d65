package server

import (
	"encoding/base64"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

func TestTokenRoundTrip(t *testing.T) {
	digest := statementDigest("SELECT", []api.Value{{Value: item.String("x")}})
	for _, at := range []position{{}, {query: 49}, {query: 1, start: testItem("p", "x")}} {
		token := statementToken(digest, &at)
		got, err := parseToken(token, digest)
		if err != nil || got.query != at.query || !got.start.Equal(at.start) || (got.start == nil) != (at.start == nil) {
			t.Errorf("%v: got %v, %v", at, got, err)
		}
		b, _ := base64.StdEncoding.DecodeString(token)
		for i := range b {
			b[i] ^= 0x40
			if _, err := parseToken(base64.StdEncoding.EncodeToString(b), digest); err == nil {
				t.Errorf("%v: a token with byte %d changed passes", at, i)
			}
			b[i] ^= 0x40
		}
	}
}

// Other text, and other parameters, make another statement, however they are
// cut.
func TestTokenOfOtherStatement(t *testing.T) {
	x, y := api.Value{Value: item.String("x")}, api.Value{Value: item.String("y")}
	digest := statementDigest("SELECT", []api.Value{x, y})
	token := statementToken(digest, &position{})
	for _, other := range [][tokenStatementBytes]byte{
		statementDigest("SELECT ", []api.Value{x, y}),
		statementDigest("SELECT", []api.Value{y, x}),
		statementDigest("SELECT", []api.Value{x}),
		statementDigest("SELECT", nil),
	} {
		if _, err := parseToken(token, other); err != errTokenOther {
			t.Errorf("got %v, want %v", err, errTokenOther)
		}
	}
}

// FuzzToken: what passes is a position that can be used.
func FuzzToken(f *testing.F) {
	digest := statementDigest("SELECT", nil)
	f.Add("")
	f.Add(statementToken(digest, &position{}))
	f.Add(statementToken(digest, &position{query: 3, start: testItem("p", "x")}))
	f.Fuzz(func(t *testing.T, token string) {
		at, err := parseToken(token, digest)
		if err != nil {
			return
		}
		if at.query < 0 || at.query >= maxHashValues || at.start != nil && item.Check(at.start) != nil {
			t.Errorf("%q is %v", token, at)
		}
	})
}
