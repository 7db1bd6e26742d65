package replication

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/statordb/stator/internal/env"
)

// A bundleCase is an item to encode: a beat, a wake or a message of raft.
type bundleCase struct {
	name  string
	group GroupID
	raft  *raftpb.Message
	note  note
	beat  *beat
}

func (c *bundleCase) append(dst []byte) []byte {
	switch {
	case c.beat != nil:
		return appendBeat(dst, *c.beat)
	case c.raft.Type == nil:
		return appendWake(dst, c.group, c.raft.GetTerm())
	}
	dst, ok := appendMessage(dst, c.group, c.raft, &c.note)
	if !ok {
		panic(c.name)
	}
	return dst
}

func testEntry(term, index uint64, typ raftpb.EntryType, data string) *raftpb.Entry {
	e := &raftpb.Entry{Term: &term, Index: &index, Type: &typ}
	if data != "" {
		e.Data = []byte(data)
	}
	return e
}

func testMessage(typ raftpb.MessageType, term uint64) *raftpb.Message {
	return &raftpb.Message{Type: &typ, Term: &term, From: new(uint64(1)), To: new(uint64(2))}
}

// bundleCases has every type and every field.
func bundleCases() []bundleCase {
	app := testMessage(raftpb.MsgApp, 7)
	app.Index, app.LogTerm, app.Commit = new(uint64(300)), new(uint64(6)), new(uint64(299))
	app.Entries = []*raftpb.Entry{
		testEntry(6, 301, raftpb.EntryNormal, "one"),
		testEntry(7, 302, raftpb.EntryNormal, ""),
		testEntry(7, 303, raftpb.EntryConfChangeV2, "change"),
	}
	reject := testMessage(raftpb.MsgAppResp, 7)
	reject.Index, reject.LogTerm, reject.RejectHint, reject.Reject = new(uint64(300)), new(uint64(5)), new(uint64(280)), new(true)
	accept := testMessage(raftpb.MsgAppResp, 7)
	accept.Index = new(uint64(303))
	heartbeat := testMessage(raftpb.MsgHeartbeat, 7)
	heartbeat.Commit, heartbeat.Context = new(uint64(303)), []byte{1, 0, 0, 0, 0, 0, 0, 0}
	vote := testMessage(raftpb.MsgVote, 8)
	vote.Index, vote.LogTerm, vote.Context = new(uint64(303)), new(uint64(7)), []byte("CampaignTransfer")
	return []bundleCase{
		{name: "beat", beat: &beat{incarnation: 0x0102030405060708}},
		{name: "unfit", beat: &beat{incarnation: 9, unfit: true}},
		{name: "append", group: 5, raft: app, note: note{sent: 123456789}},
		{name: "accept", group: 5, raft: accept, note: note{echo: 123456789}},
		{name: "reject", group: 5, raft: reject},
		{name: "heartbeat", group: 1 << 40, raft: heartbeat, note: note{sent: 5, idle: true}},
		{name: "heartbeat-resp", group: 5, raft: testMessage(raftpb.MsgHeartbeatResp, 7), note: note{echo: 5, idle: true}},
		{name: "pre-vote", group: 5, raft: testMessage(raftpb.MsgPreVote, 8)},
		{name: "pre-vote-resp", group: 5, raft: testMessage(raftpb.MsgPreVoteResp, 8)},
		{name: "vote", group: 5, raft: vote},
		{name: "vote-resp", group: 5, raft: testMessage(raftpb.MsgVoteResp, 8), note: note{promise: promise{remaining: 1e9, term: 7, sent: 123456789}}},
		{name: "timeout-now", group: 5, raft: testMessage(raftpb.MsgTimeoutNow, 7), note: note{sent: 123456799, wait: 17}},
		{name: "wake", group: 5, raft: &raftpb.Message{Term: new(uint64(7))}},
	}
}

// An item is one of a bundle: a beat or a message.
type item struct {
	beat *beat
	*message
}

func readAll(bundle []byte) (list []item, err error) {
	r, err := readBundle(bundle, 1, 2)
	if err != nil {
		return nil, err
	}
	for {
		if r.atBeat() {
			b, err := r.nextBeat()
			if err != nil {
				return list, err
			}
			list = append(list, item{beat: &b})
			continue
		}
		m, err := r.next()
		if m == nil || err != nil {
			return list, err
		}
		list = append(list, item{message: m})
	}
}

// appendDecoded encodes what was decoded.
func appendDecoded(dst []byte, m item) []byte {
	switch {
	case m.beat != nil:
		return appendBeat(dst, *m.beat)
	case m.typ == typeWake:
		return appendWake(dst, m.group, m.raft.GetTerm())
	}
	dst, ok := appendMessage(dst, m.group, &m.raft, &m.note)
	if !ok {
		panic("a decoded message cannot be encoded")
	}
	return dst
}

func TestBundleKeepsWhatItCarries(t *testing.T) {
	cases := bundleCases()
	bundle := appendBundleHeader(nil)
	for i := range cases {
		bundle = cases[i].append(bundle)
	}
	got, err := readAll(bundle)
	if err != nil || len(got) != len(cases) {
		t.Fatalf("%d items, %v; want %d", len(got), err, len(cases))
	}
	for i, c := range cases {
		m := got[i]
		switch {
		case c.beat != nil:
			if m.beat == nil || *m.beat != *c.beat {
				t.Errorf("%s: %+v", c.name, m)
			}
			continue
		case m.group != c.group || m.note != c.note:
			t.Errorf("%s: group %d, note %+v; want %d, %+v", c.name, m.group, m.note, c.group, c.note)
		}
		want := proto.CloneOf(c.raft)
		want.From, want.To = new(uint64(1)), new(uint64(2))
		if !proto.Equal(&m.raft, want) {
			t.Errorf("%s: %v, want %v", c.name, &m.raft, want)
		}
	}
}

// TestBundleWithoutGroup: what is left of a bundle is what it says of others, byte for byte.
func TestBundleWithoutGroup(t *testing.T) {
	cases := bundleCases()
	all, others, alone := appendBundleHeader(nil), appendBundleHeader(nil), appendBundleHeader(nil)
	for i := range cases {
		if all = cases[i].append(all); cases[i].beat != nil || cases[i].group != 5 {
			others = cases[i].append(others)
		} else {
			alone = cases[i].append(alone)
		}
	}
	if len(others) == 1 || len(alone) == 1 {
		t.Fatal("the bundle has no such group, or no other")
	}
	for _, test := range []struct {
		name    string
		b, want []byte
	}{
		{"of several groups", all, others},
		{"of others", others, others},
		{"of this one", alone, nil},
		{"cut off", all[:len(all)-1], all[:len(all)-1]},
		{"of a later version", []byte{99, 5}, []byte{99, 5}},
	} {
		if got := WithoutGroup(test.b, 5); !bytes.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%s: %x, want %x", test.name, got, test.want)
		}
	}
}

// What this lane does not carry is refused: a snapshot, a proposal, entries
// whose indexes the receiver could not tell.
func TestBundleRefusesMessagesOfOtherLanes(t *testing.T) {
	gap := testMessage(raftpb.MsgApp, 7)
	gap.Index, gap.Entries = new(uint64(5)), []*raftpb.Entry{testEntry(7, 7, raftpb.EntryNormal, "x")}
	for _, m := range []*raftpb.Message{testMessage(raftpb.MsgSnap, 7), testMessage(raftpb.MsgProp, 7), testMessage(raftpb.MsgHup, 7), gap} {
		if dst, ok := appendMessage(nil, 1, m, &note{}); ok || len(dst) > 0 {
			t.Errorf("%s was encoded: %x", m.GetType(), dst)
		}
	}
}

// testdata/bundles.txt keeps the bytes of each case. They may change only with
// bundleVersion: nodes of two releases talk to each other during an upgrade.
func TestBundleBytesStayTheSame(t *testing.T) {
	var text strings.Builder
	for _, c := range bundleCases() {
		fmt.Fprintf(&text, "%-15s %s\n", c.name, hex.EncodeToString(c.append(appendBundleHeader(nil))))
	}
	want, err := os.ReadFile(filepath.Join("testdata", "bundles.txt"))
	if err != nil || string(want) != text.String() {
		t.Errorf("bundles differ from testdata/bundles.txt (%v):\n%s", err, text.String())
	}
}

// Cut off or with a byte changed anywhere, a bundle is refused or means something
// else that encodes to these bytes; it never panics.
func TestBundleSurvivesDamage(t *testing.T) {
	refused := 0
	for _, c := range bundleCases() {
		bundle := c.append(appendBundleHeader(nil))
		for n := bundleHeaderBytes + 1; n < len(bundle); n++ {
			if _, err := readAll(bundle[:n]); err == nil {
				t.Errorf("%s: the first %d bytes of %d are accepted", c.name, n, len(bundle))
			}
		}
		for i := range bundle {
			for _, flip := range []byte{1, 0x80, 0xff} {
				bad := bytes.Clone(bundle)
				bad[i] ^= flip
				if checkBundle(t, bad) != nil {
					refused++
				}
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

// checkBundle reads a bundle; what it accepts must be the only form of what it
// means.
func checkBundle(t *testing.T, bundle []byte) error {
	t.Helper()
	list, err := readAll(bundle)
	if err != nil {
		return err
	}
	again := appendBundleHeader(nil)
	for _, m := range list {
		again = appendDecoded(again, m)
	}
	if !bytes.Equal(again, bundle) {
		t.Errorf("%x decodes to something that encodes to %x", bundle, again)
	}
	return nil
}

func FuzzBundle(f *testing.F) {
	all := appendBundleHeader(nil)
	for _, c := range bundleCases() {
		f.Add(c.append(appendBundleHeader(nil)))
		all = c.append(all)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, bundle []byte) { _ = checkBundle(t, bundle) })
}

func TestBundleOfAnotherVersion(t *testing.T) {
	if _, err := readBundle([]byte{bundleVersion + 1, 0}, 1, 2); err == nil || errors.Is(err, errMalformedBundle) {
		t.Errorf("error = %v, want one that names the version", err)
	}
	if _, err := readBundle(nil, 1, 2); !errors.Is(err, errMalformedBundle) {
		t.Errorf("an empty bundle: %v", err)
	}
}

// An append of n entries costs four allocations to decode, whatever n; protobuf's
// needs several per entry.
func TestBundleAllocations(t *testing.T) {
	bundle, m := benchBundle(16), benchAppend(16)
	decode := testing.AllocsPerRun(100, func() {
		r, _ := readBundle(bundle, 1, 2)
		if m, err := r.next(); m == nil || err != nil {
			t.Fatal(err)
		}
	})
	buf := make([]byte, 0, 4096)
	encode := testing.AllocsPerRun(100, func() { buf, _ = appendMessage(buf[:0], 1, m, &note{sent: 1}) })
	if underRace == 1 && (decode > 4 || encode > 0) {
		t.Errorf("%v allocations to decode, %v to encode; want at most 4 and 0", decode, encode)
	}
}

func benchAppend(entries int) *raftpb.Message {
	m := testMessage(raftpb.MsgApp, 7)
	m.Index, m.LogTerm, m.Commit = new(uint64(3000)), new(uint64(7)), new(uint64(2999))
	data := strings.Repeat("d", 150)
	for i := range entries {
		m.Entries = append(m.Entries, testEntry(7, uint64(3001+i), raftpb.EntryNormal, data))
	}
	return m
}

func benchBundle(entries int) []byte {
	bundle, _ := appendMessage(appendBundleHeader(nil), 1, benchAppend(entries), &note{sent: env.Mono(rand.Int64())})
	return bundle
}

// BenchmarkBundle compares the codec with protobuf's, there and back, without
// what a transport adds to either.
func BenchmarkBundle(b *testing.B) {
	for _, n := range []int{0, 1, 16} {
		m := benchAppend(n)
		b.Run(fmt.Sprintf("ours/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bundle, _ := appendMessage(appendBundleHeader(make([]byte, 0, 256*(n+1))), 1, m, &note{sent: 12345678})
				r, _ := readBundle(bundle, 1, 2)
				if m, err := r.next(); m == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("protobuf/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bundle, _ := proto.MarshalOptions{}.MarshalAppend(make([]byte, 0, 256*(n+1)), m)
				if err := proto.Unmarshal(bundle, &raftpb.Message{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
