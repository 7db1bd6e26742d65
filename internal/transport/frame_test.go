package transport

import (
	"bytes"
	"testing"
)

// TestFrameChecksum: no single changed bit passes.
func TestFrameChecksum(t *testing.T) {
	message := []byte("a message")
	good := FrameHead(Snapshot, message)
	if lane, err := CheckFrame(good[:], message); err != nil || lane != Snapshot {
		t.Fatalf("CheckFrame = %v, %v", lane, err)
	}
	for bit := range 8 * (FrameHeader + len(message)) {
		frame := append(good[:len(good):len(good)], message...)
		frame[bit/8] ^= 1 << (bit % 8)
		size, err := FrameSize(frame)
		if err == nil && size == len(message) {
			if _, err := CheckFrame(frame[:FrameHeader], frame[FrameHeader:]); err == nil {
				t.Errorf("a frame with bit %d changed passes", bit)
			}
		}
	}
}

func TestFrameSize(t *testing.T) {
	for _, test := range []struct {
		length []byte
		ok     bool
	}{
		{[]byte{0, 0, 0, 0}, false},
		{[]byte{1, 0, 0, 0}, true},
		{[]byte{1, 0, 0, 2}, true},  // 1 + MaxMessage
		{[]byte{2, 0, 0, 2}, false}, // one more
		{bytes.Repeat([]byte{255}, 4), false},
	} {
		if _, err := FrameSize(test.length); (err == nil) != test.ok {
			t.Errorf("FrameSize(%x): %v", test.length, err)
		}
	}
}
