package item

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// Every way in which bytes can fail to be canonical.
func TestCheckRefuses(t *testing.T) {
	tests := []struct{ why, form string }{
		{"nothing", ""},
		{"no size", "01"},
		{"unknown tag 0", "00 00"}, {"unknown tag 11", "0b 00"},
		{"size beyond the end", "01 02 61"}, {"bytes behind", "01 01 61 62"}, {"long size", "01 81 00 61"}, {"endless size", "01 ff ff ff ff ff ff ff ff ff ff 01"},
		{"broken UTF-8", "01 01 ff"},
		{"no number", "02 00"}, {"number without end", "02 02 c1 03"}, {"number with bytes behind", "02 03 c1 02 02"}, {"pair of 100", "02 02 c1 c8"},
		{"leading zero pair", "02 03 c1 01 02"}, {"trailing zero pair", "02 03 c1 03 00"}, {"minus zero", "02 02 7f ff"}, {"zero with another exponent", "02 02 c1 00"},
		{"39 digits", "02 15 c1 15" + strings.Repeat(" 15", 18) + " 02"},
		{"boolean 2", "04 01 02"}, {"boolean without content", "04 00"}, {"null with content", "05 01 00"},
		{"list without count", "06 00"}, {"list with too few", "06 03 02 05 00"}, {"list with too many", "06 05 01 05 00 05 00"}, {"list with a broken value", "06 04 01 01 05 61"},
		{"map without item", "07 00"},
		{"empty set", "08 01 00"}, {"set with another type", "08 04 01 02 01 61"}, {"set out of order", "08 07 02 01 01 62 01 01 61"}, {"set with a duplicate", "08 07 02 01 01 61 01 01 61"},
		{"set of too few", "08 04 02 01 01 61"}, {"set of too many", "08 07 01 01 01 61 01 01 62"}, {"number set out of order", "09 09 02 02 02 c1 04 02 02 c1 02"},
		{"binary set with strings", "0a 04 01 01 01 61"},
	}
	for _, tt := range tests {
		form, err := hex.DecodeString(strings.ReplaceAll(tt.form, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckValue(form); !errors.Is(err, ErrMalformed) {
			t.Errorf("CheckValue(%s: %s) = %v, want ErrMalformed", tt.why, tt.form, err)
		}
	}
}

func TestCheckItemRefuses(t *testing.T) {
	good := mustItem(t, `{"a":{"NULL":true},"b":{"NULL":true}}`)
	if want := "08 " + "c5 14 04 00 08 00 " + "01 61 05 00 01 62 05 00"; hexOf(good) != want {
		t.Fatalf("the item is %s, want %s", hexOf(good), want)
	}
	tests := []struct{ why, form string }{
		{"layout 2", "0a c5 14 04 00 08 00 01 61 05 00 01 62 05 00"},
		{"layout 3", "0b c5 14 04 00 08 00 01 61 05 00 01 62 05 00"},
		{"wide without need", "09 c5 14 04 00 00 00 08 00 00 00 01 61 05 00 01 62 05 00"},
		{"wrong print", "08 c6 14 04 00 08 00 01 61 05 00 01 62 05 00"},
		{"wrong end", "08 c5 14 05 00 08 00 01 61 05 00 01 62 05 00"},
		{"names out of order", "08 14 c5 04 00 08 00 01 62 05 00 01 61 05 00"},
		{"same name twice", "08 c5 c5 04 00 08 00 01 61 05 00 01 61 05 00"},
		{"entry missing", "08 c5 14 04 00 04 00 01 61 05 00"},
		{"one too many", "04 c5 08 00 01 61 05 00 01 62 05 00"},
		{"no directory", "08"}, {"huge count", "fc ff 03"}, {"long count", "84 00 c5 04 00 01 61 05 00"},
		{"empty name", "04 00 03 00 00 05 00"}, {"name beyond the end", "04 c5 04 00 09 61 05 00"}, {"name not UTF-8", "04 00 04 00 01 ff 05 00"},
		{"no value", "04 c5 02 00 01 61"}, {"bytes behind an empty item", "00 00"},
	}
	for _, tt := range tests {
		form, err := hex.DecodeString(strings.ReplaceAll(tt.form, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(form); !errors.Is(err, ErrMalformed) {
			t.Errorf("Check(%s: %s) = %v, want ErrMalformed", tt.why, tt.form, err)
		}
	}
}

func hexOf(b []byte) string {
	var parts []string
	for _, c := range b {
		parts = append(parts, hex.EncodeToString([]byte{c}))
	}
	return strings.Join(parts, " ")
}

// No damaged item may pass for a different one: each passing mutation must be
// canonical, which the round trip proves.
func TestCheckEveryByte(t *testing.T) {
	it := mustItem(t, `{"s":{"S":"text"},"n":{"N":"-12.5"},"l":{"L":[{"BOOL":true}]},"m":{"M":{"k":{"NS":["1","2"]}}}}`)
	for i := range it {
		for bit := range 8 {
			damaged := bytes.Clone(it)
			damaged[i] ^= 1 << bit
			if Check(damaged) == nil {
				roundTrip(t, MapOf(damaged))
			}
		}
		if err := Check(it[:i]); err == nil && i > 0 {
			t.Errorf("Check passes the first %d bytes of % x", i, []byte(it))
		}
	}
}

// FuzzCheck: bytes that pass are the form of what they mean, and safe to use.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"S":"x"}}`, `{"s":{"S":"text"},"n":{"N":"-12.5"},"l":{"L":[{"BOOL":true},{"B":"AQ=="}]},"m":{"M":{"k":{"NS":["1","2"]}}}}`, string(kilobyte)} {
		f.Add([]byte(mustItem(f, seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		it := Item(b)
		if err := Check(it); err != nil || len(it) == 0 {
			return
		}
		roundTrip(t, MapOf(it))
		for name, v := range it.All() {
			if got, ok := it.Get(name); !ok || !got.Equal(v) {
				t.Fatalf("Get(%q) of % x = %v, %v", name, b, got, ok)
			}
		}
	})
}

// FuzzCheckValue is FuzzCheck for values.
func FuzzCheckValue(f *testing.F) {
	for _, seed := range []Value{String("x"), Null(), Bool(true), Bytes([]byte{1}), List(String("a"), Null()), FromNumber(zero)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if CheckValue(b) == nil {
			roundTrip(t, b)
		}
	})
}

// FuzzKeys: keys that decode are the key of what they decode to.
func FuzzKeys(f *testing.F) {
	for kind, key := range map[Type]string{S: "abc", N: "\xc2\x19\xc7\xbe", B: "\x00\xff"} {
		f.Add(byte(kind), []byte(key))
	}
	f.Add(byte(S), []byte("\x03abcrest"))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		if v, err := KeyValue(Type(kind), b); err == nil {
			if CheckValue(v) != nil || !bytes.Equal(AppendKey(nil, v), b) {
				t.Fatalf("KeyValue(%d, % x) = %v", kind, b, v)
			}
		}
		if v, rest, err := PartitionKeyValue(Type(kind), b); err == nil {
			if CheckValue(v) != nil || !bytes.Equal(append(AppendPartitionKey(nil, v), rest...), b) {
				t.Fatalf("PartitionKeyValue(%d, % x) = %v, % x", kind, b, v, rest)
			}
		}
	})
}
