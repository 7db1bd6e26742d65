package replication

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// A memStore stands in for the engine: batches get sequence numbers, and what
// was not flushed is gone after a crash.
type memStore struct {
	mu       sync.Mutex
	seq      uint64
	state    map[GroupID]counterState
	flushed  uint64
	durable  map[GroupID]counterState
	flushes  int
	flushErr error
	admitErr error
	parked   chan struct{} // if set, Flush waits for it
}

type counterState struct {
	applied  uint64
	members  []byte
	restored [2]uint64 // index and term of the last snapshot
	sum      uint64
	seen     map[uint64]int // times each command was applied
}

func (c counterState) clone() counterState {
	c.seen = maps.Clone(c.seen)
	return c
}

func cloneStates(m map[GroupID]counterState) map[GroupID]counterState {
	out := map[GroupID]counterState{}
	for id, c := range m {
		out[id] = c.clone()
	}
	return out
}

func newMemStore() *memStore {
	return &memStore{state: map[GroupID]counterState{}, durable: map[GroupID]counterState{}}
}

func (s *memStore) LastSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

func (s *memStore) FlushedSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flushed
}

func (s *memStore) Admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitErr
}

func (s *memStore) Flush() error {
	if s.parked != nil {
		<-s.parked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flushErr != nil {
		return s.flushErr
	}
	s.flushes++
	s.flushed, s.durable = s.seq, cloneStates(s.state)
	return nil
}

// crash returns the store as it comes up again.
func (s *memStore) crash() *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memStore{seq: s.flushed, flushed: s.flushed, state: cloneStates(s.durable), durable: cloneStates(s.durable)}
}

func (s *memStore) counter(id GroupID) counterState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[id].clone()
}

// A counter adds up its commands: 8 bytes of identity, 8 bytes of amount.
type counter struct {
	store *memStore
	id    GroupID
}

func (c *counter) Applied() uint64 { return c.store.counter(c.id).applied }

func (c *counter) Apply(index uint64, commands [][]byte) []any {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state[c.id]
	if st.seen == nil {
		st.seen = map[uint64]int{}
	}
	results := make([]any, len(commands))
	for i, cmd := range commands {
		st.seen[binary.LittleEndian.Uint64(cmd)]++
		st.sum += binary.LittleEndian.Uint64(cmd[8:])
		results[i] = st.sum
	}
	st.applied = index
	s.state[c.id] = st
	s.seq++
	return results
}

func (c *counter) ApplyMembers(index uint64, members []byte) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state[c.id]
	st.applied, st.members = index, members
	s.state[c.id] = st
	s.seq++
}

func (c *counter) Members() []byte { return c.store.counter(c.id).members }

func (c *counter) Restored() (index, term uint64) {
	st := c.store.counter(c.id)
	return st.restored[0], st.restored[1]
}

// Snapshot writes the sum and then the commands, in order, 8 in a chunk.
func (c *counter) Snapshot() (SnapshotReader, error) {
	st := c.store.counter(c.id)
	r := &counterReader{chunks: [][]byte{binary.LittleEndian.AppendUint64(nil, st.sum)}}
	for i, identity := range slices.Sorted(maps.Keys(st.seen)) {
		if i%8 == 0 {
			r.chunks = append(r.chunks, nil)
		}
		last := &r.chunks[len(r.chunks)-1]
		*last = binary.LittleEndian.AppendUint64(*last, identity)
		*last = binary.LittleEndian.AppendUint64(*last, uint64(st.seen[identity]))
	}
	return r, nil
}

type counterReader struct {
	chunks [][]byte
	closed bool
}

func (r *counterReader) Next() ([]byte, error) {
	if r.closed {
		panic("Next after Close")
	}
	if len(r.chunks) == 0 {
		return nil, io.EOF
	}
	chunk := r.chunks[0]
	r.chunks = r.chunks[1:]
	return chunk, nil
}

func (r *counterReader) Close() { r.closed = true }

func (c *counter) Restore(meta SnapshotMeta) (SnapshotWriter, error) {
	return &counterWriter{c: c, meta: meta}, nil
}

type counterWriter struct {
	c      *counter
	meta   SnapshotMeta
	chunks [][]byte
	ended  bool
}

func (w *counterWriter) Write(chunk []byte) error {
	w.chunks = append(w.chunks, slices.Clone(chunk))
	return nil
}

// Commit flushes: what a snapshot replaces is durable at once.
func (w *counterWriter) Commit() error {
	if w.ended {
		panic("Commit after the end")
	}
	w.ended = true
	st := counterState{applied: w.meta.Index, members: w.meta.Members, seen: map[uint64]int{}}
	st.restored = [2]uint64{w.meta.Index, w.meta.Term}
	st.sum = binary.LittleEndian.Uint64(w.chunks[0])
	for _, chunk := range w.chunks[1:] {
		for ; len(chunk) > 0; chunk = chunk[16:] {
			st.seen[binary.LittleEndian.Uint64(chunk)] = int(binary.LittleEndian.Uint64(chunk[8:]))
		}
	}
	s := w.c.store
	s.mu.Lock()
	old, had := s.state[w.c.id]
	s.state[w.c.id] = st
	s.seq++
	s.mu.Unlock()
	err := s.Flush()
	if err != nil {
		s.mu.Lock()
		s.state[w.c.id] = old
		if !had {
			delete(s.state, w.c.id)
		}
		s.mu.Unlock()
	}
	return err
}

func (w *counterWriter) Abort() { w.ended = true }

// alone are the voters of groups that node 1 has for itself.
var alone = []uint64{1}

func add(identity, amount uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, identity), amount)
}

// A rig is one node on one disk.
type rig struct {
	t     *testing.T
	fs    vfs.FS
	store *memStore
	o     Options
	node  *Node
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	if o.NodeID == 0 {
		o.NodeID = 1
	}
	r := &rig{t: t, fs: vfs.NewMem(), store: newMemStore(), o: o}
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	if r.o.SegmentBytes == 0 {
		r.o.SegmentBytes = 1 << 20
	}
	n, err := Open(env.New(), r.fs, r.store, r.o)
	if err != nil {
		r.t.Fatalf("Open: %v", err)
	}
	r.node = n
	r.t.Cleanup(func() { _ = n.Close() })
}

func (r *rig) start(id GroupID) *Group {
	r.t.Helper()
	g, err := r.node.Start(id, &counter{r.store, id}, alone)
	if err != nil {
		r.t.Fatalf("Start(%d): %v", id, err)
	}
	return g
}

func (r *rig) propose(g *Group, identity, amount uint64) uint64 {
	r.t.Helper()
	got, err := g.Propose(add(identity, amount)).Await()
	if err != nil {
		r.t.Fatalf("Propose(%d): %v", identity, err)
	}
	return got.(uint64)
}

// close ends the node and throws the store back to what it had flushed.
func (r *rig) close() {
	r.t.Helper()
	r.store.flushErr = vfs.ErrIO
	if err := r.node.Close(); err != nil {
		r.t.Fatalf("Close: %v", err)
	}
	r.store = r.store.crash()
}

// check compares a counter with what was added: identities 1...n, once each.
func (c counterState) check(n int) error {
	if len(c.seen) != n {
		return fmt.Errorf("%d commands applied, want %d", len(c.seen), n)
	}
	for identity, times := range c.seen {
		if times != 1 {
			return fmt.Errorf("command %d applied %d times", identity, times)
		}
	}
	return nil
}
