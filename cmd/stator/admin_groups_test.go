package main

import (
	"testing"

	"github.com/statordb/stator/server"
)

func TestSplitRequest(t *testing.T) {
	for _, c := range []struct {
		what, at string
		want     server.AdminRequest
	}{
		{"12", "", server.AdminRequest{Group: 12}},
		{"orders", "0x8000000000000000", server.AdminRequest{Table: "orders", Hash: 1 << 63}},
		{"7", "99", server.AdminRequest{Group: 7, Hash: 99}},
	} {
		in, err := (&splitCommand{What: c.what, At: c.at}).request()
		if err != nil || in.Group != c.want.Group || in.Table != c.want.Table || in.Hash != c.want.Hash {
			t.Errorf("split %s %s asks for %+v, %v, want %+v", c.what, c.at, in, err, c.want)
		}
	}
	if _, err := (&splitCommand{What: "7", At: "middle"}).request(); err == nil {
		t.Error("a hash that is no number is taken")
	}
}
