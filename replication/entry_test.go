package replication

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

func encodeEntry(e *entry) []byte {
	b := appendEntryHeader(nil, e.proposer, e.number, len(e.commands))
	for _, c := range e.commands {
		b = appendCommand(b, c)
	}
	return b
}

func TestEntryBytes(t *testing.T) {
	want := entry{proposer: 300, number: 0x0102030405060708, commands: [][]byte{[]byte("put"), {}, []byte("delete")}}
	const version1 = "01" + "ac02" + "0807060504030201" + "03" + "03707574" + "00" + "0664656c657465"
	b := encodeEntry(&want)
	if got := hex.EncodeToString(b); got != version1 {
		t.Errorf("entry is %s, want %s", got, version1)
	}
	var got entry
	if err := decodeEntry(&got, b); err != nil || got.proposer != want.proposer || got.number != want.number || !slices.EqualFunc(got.commands, want.commands, bytes.Equal) {
		t.Errorf("decodeEntry = %+v, %v; want %+v", got, err, want)
	}
	if n := maxEntryHeader + commandBytes(3) + commandBytes(0) + commandBytes(6); len(b) > n {
		t.Errorf("entry has %d bytes, estimated at most %d", len(b), n)
	}
	if err := decodeEntry(&got, nil); err != nil || len(got.commands) != 0 || got.proposer != 0 {
		t.Errorf("decodeEntry of raft's own entry = %+v, %v", got, err)
	}
}

func TestDecodeEntryRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown version":          "02" + "01" + "0807060504030201" + "00",
		"more commands than bytes": "01" + "01" + "0807060504030201" + "05" + "00",
		"command cut short":        "01" + "01" + "0807060504030201" + "01" + "02ff",
		"bytes left over":          "01" + "01" + "0807060504030201" + "00" + "00",
		"proposer overflows":       "01" + "ffffffffffffffffffff01" + "0807060504030201" + "00",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var e entry
		if err := decodeEntry(&e, b); err == nil {
			t.Errorf("%s: decodeEntry(%s) = %+v, want an error", name, text, e)
		}
	}
	whole := encodeEntry(&entry{proposer: 1, number: 2, commands: [][]byte{[]byte("command")}})
	for n := 1; n < len(whole); n++ {
		if err := decodeEntry(new(entry), whole[:n]); err == nil {
			t.Errorf("decodeEntry of the first %d of %d bytes succeeds", n, len(whole))
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeEntry(&entry{proposer: 1, number: 2}))
	f.Add(encodeEntry(&entry{proposer: 300, number: 1 << 60, commands: [][]byte{[]byte("put"), {}, make([]byte, 200)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again entry
		if decodeEntry(&e, b) != nil || len(b) == 0 {
			return
		}
		if err := decodeEntry(&again, encodeEntry(&e)); err != nil {
			t.Fatalf("%+v encodes to something malformed: %v", e, err)
		}
		if e.proposer != again.proposer || e.number != again.number || !slices.EqualFunc(e.commands, again.commands, bytes.Equal) {
			t.Errorf("%+v came back as %+v", e, again)
		}
	})
}
