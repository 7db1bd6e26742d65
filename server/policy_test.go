package server

import (
	"encoding/json"
	"testing"
)

// What passes as a policy is a JSON object, and nothing makes the check panic.
func FuzzCheckPolicy(f *testing.F) {
	f.Add(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`)
	f.Add(`{"Statement":[{"Effect":"Deny","NotPrincipal":{},"NotAction":[],"NotResource":null}]}`)
	f.Add(`{"Statement":null}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		if checkPolicy(text) == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q passes", text)
		}
	})
}
