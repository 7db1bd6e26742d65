package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/partition"
)

// A token that was used is found out whatever items the other request is about.
func TestTokenOfAnotherRequest(t *testing.T) {
	b := newWorld(t)
	b.create(simple("tab", 16))
	for i := range 20 {
		request := func(token string, k int) *TransactWriteRequest {
			r := &TransactWriteRequest{Token: token, Actions: []TransactAction{transactPut("tab", fmt.Sprintf(`{"p":{"S":"k%d"}}`, k))}}
			r.Parameters[0] = byte(k)
			return r
		}
		token := fmt.Sprint("token", i)
		if r, err := b.TransactWrite(request(token, i)); err != nil || r.Repeated {
			t.Fatalf("%+v, %v", r, err)
		}
		var mismatch *ParameterMismatchError
		if _, err := b.TransactWrite(request(token, i+1)); !errors.As(err, &mismatch) {
			t.Fatalf("for another item: %v", err)
		}
		if r, err := b.TransactWrite(request(token, i)); err != nil || !r.Repeated {
			t.Fatalf("again: %+v, %v", r, err)
		}
	}
}

func TestTokenGuardForgets(t *testing.T) {
	g := tokenGuard{life: partition.TokenLife}
	token := func(n int) (t partition.Token) {
		binary.LittleEndian.PutUint32(t[:], uint32(n)+1)
		return t
	}
	now := env.Mono(0)
	g.used(token(0), token(1), now)
	if g.check(token(0), token(2), now.Add(partition.TokenLife-1)) == nil {
		t.Error("other parameters pass")
	}
	if err := g.check(token(0), token(2), now.Add(partition.TokenLife)); err != nil {
		t.Errorf("after its life: %v", err)
	}
	for n := range guardedTokens {
		g.used(token(n), token(n), now)
	}
	if g.check(token(0), token(2), now) == nil {
		t.Error("a token that was used twice is forgotten")
	}
	g.used(token(guardedTokens), token(1), now)
	if err := g.check(token(0), token(2), now); err != nil || len(g.known) != guardedTokens {
		t.Errorf("the oldest of %d is not forgotten: %v", len(g.known), err)
	}
	if g.check(token(1), token(0), now) == nil {
		t.Error("the second oldest is")
	}
}
