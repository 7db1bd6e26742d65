package server

import (
	"bytes"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm"
	"github.com/statordb/stator/replication"
	"github.com/statordb/stator/table"
)

// A ring is a cluster of three servers in three zones, in one simulated world. Its
// clients enter above the JSON edge.
type ring struct {
	t     *testing.T
	w     *env.World
	net   *transport.Network
	nodes [4]*ringNode // by id
	draws map[string]*mrand.Rand
	turn  string        // whose luck raft draws from
	delay time.Duration // Options.TableDelay
}

type ringNode struct {
	id   uint64
	name string
	disk *vfs.Disk
	e    *env.Env
	s    *Server // nil while it is down or starting
	err  error
}

func newRing(t *testing.T, seed uint64) *ring {
	return newDelayingRing(t, seed, 0)
}

func newDelayingRing(t *testing.T, seed uint64, delay time.Duration) *ring {
	r := &ring{t: t, w: env.NewWorld(seed, env.Options{}), draws: map[string]*mrand.Rand{}, delay: delay}
	r.net = transport.NewNetwork(r.w, transport.NetworkOptions{})
	old := rand.Reader
	rand.Reader = r
	t.Cleanup(func() {
		r.w.Close()
		rand.Reader = old
	})
	for id := uint64(1); id <= 3; id++ {
		n := &ringNode{id: id, name: fmt.Sprint("n", id), disk: vfs.NewDisk(seed + id)}
		r.nodes[id] = n
		n.e = r.w.NewNode(n.name)
		r.net.Add(transport.NodeID(id), transport.Site{Name: n.name, Zone: n.name})
		luck := r.w.Stream("crash/" + n.name)
		r.w.OnCrash(n.name, func() {
			n.disk.Crash(vfs.RandomCrash(luck))
			n.s = nil
		})
		r.boot(n)
	}
	return r
}

// Read gives raft its election jitter.
func (r *ring) Read(p []byte) (int, error) {
	s := r.draws[r.turn]
	if s == nil {
		s = r.w.Stream("raft/" + r.turn)
		r.draws[r.turn] = s
	}
	for i := range p {
		p[i] = byte(s.Uint32())
	}
	return len(p), nil
}

func (r *ring) boot(n *ringNode) {
	n.e.Go("boot", func() {
		o := Options{
			TableDelay: r.delay,
			Cluster: &Cluster{
				Node: n.id, Zone: n.name, Transport: r.net.Start(transport.NodeID(n.id), n.e), Tick: 50 * time.Millisecond,
				Founders: []table.Member{{ID: 1, Zone: "n1"}, {ID: 2, Zone: "n2"}, {ID: 3, Zone: "n3"}},
			},
			Tuning: Tuning{
				Store: func(o *lsm.Options) { o.MemtableBytes = 64 << 10 },
				Replication: func(o *replication.Options) {
					o.SegmentBytes = 1 << 20
					o.EnterGroup = func(g replication.GroupID) { r.turn = fmt.Sprint(n.id, "/", g) }
				},
			},
		}
		n.s, n.err = OpenOn(n.e, n.disk.Mount(), o)
	})
}

// ask has a node carry out an operation, as a client does that tries again after
// errors that are not its own.
func (r *ring) ask(id uint64, operation, body string) (answer string, status int) {
	r.t.Helper()
	who := Caller{Account: "123456789012", Region: "eu-west-1"}
	for range 50 {
		n := r.nodes[id]
		if n.err != nil {
			r.t.Fatalf("node %d: %v", id, n.err)
		}
		if n.s == nil {
			r.run(100 * time.Millisecond)
			continue
		}
		if err := r.w.Do(n.e, "client", func() {
			var b []byte
			b, status = n.s.Handle(who, operation, []byte(body))
			answer = string(b)
		}); err != nil {
			r.t.Fatal(err)
		}
		if status < 500 {
			return answer, status
		}
	}
	r.t.Fatalf("seed %d: node %d: %s: still status %d: %s", r.w.Seed(), id, operation, status, answer)
	panic("not reached")
}

// must is ask for what must succeed.
func (r *ring) must(id uint64, operation, body, want string) {
	r.t.Helper()
	answer, status := r.ask(id, operation, body)
	if status != 200 || !strings.Contains(answer, want) {
		r.t.Errorf("seed %d: node %d: %s: status %d, %s; want %s in it", r.w.Seed(), id, operation, status, answer, want)
	}
}

func (r *ring) run(d time.Duration) {
	r.t.Helper()
	if err := r.w.Run(r.w.Now().Add(d)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *ring) leader() uint64 {
	r.t.Helper()
	for range 200 {
		for _, n := range r.nodes[1:] {
			if n.s != nil {
				if id, here := n.s.tables.Leader(); here {
					return id
				}
			}
		}
		r.run(100 * time.Millisecond)
	}
	r.t.Fatal("no node leads the catalog")
	panic("not reached")
}

const (
	createT = `{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`
	putT    = `{"TableName":%q,"Item":{"k":{"S":%q},"v":{"N":"%d"}}}`
	getT    = `{"TableName":%q,"Key":{"k":{"S":%q}},"ConsistentRead":true}`
)

// TestAnyNodeServesAnyRequest: tables are made, changed and dropped through nodes
// that are not in charge, with the identity of the caller, and are there for
// clients of every node at once.
func TestAnyNodeServesAnyRequest(t *testing.T) {
	r := newRing(t, 1)
	leader := r.leader()
	for id := uint64(1); id <= 3; id++ {
		name := fmt.Sprint("table-of-", id)
		r.must(id, "CreateTable", fmt.Sprintf(createT, name), "arn:aws:dynamodb:eu-west-1:123456789012:table/"+name)
		if answer, status := r.ask(id, "CreateTable", fmt.Sprintf(createT, name)); status != 400 || !strings.Contains(answer, "ResourceInUseException") {
			t.Errorf("a second time: status %d, %s", status, answer)
		}
		for other := uint64(1); other <= 3; other++ {
			r.must(other, "PutItem", fmt.Sprintf(putT, name, fmt.Sprint("k", other), other), "{}")
		}
		for other := uint64(1); other <= 3; other++ {
			r.must(other, "GetItem", fmt.Sprintf(getT, name, fmt.Sprint("k", 4-other)), fmt.Sprintf(`"N":"%d"`, 4-other))
			r.must(other, "Scan", fmt.Sprintf(`{"TableName":%q,"ConsistentRead":true}`, name), `"Count":3`)
			r.must(other, "TagResource", fmt.Sprintf(`{"ResourceArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/%s","Tags":[{"Key":"n%d","Value":"v"}]}`, name, other), "")
		}
	}
	for id := uint64(1); id <= 3; id++ {
		r.must(id, "ListTables", `{}`, `["table-of-1","table-of-2","table-of-3"]`)
		if answer, _ := r.ask(id, "DescribeTable", `{"TableName":"nowhere"}`); !strings.Contains(answer, "ResourceNotFoundException") {
			t.Errorf("a table that there is not: %s", answer)
		}
	}
	r.must(leader%3+1, "DeleteTable", `{"TableName":"table-of-1"}`, "DELETING")
	r.must((leader+1)%3+1, "ListTables", `{}`, `["table-of-2","table-of-3"]`)
}

// TestActiveOnAnyNode: a table that one node shows as active is so for items on every
// node, and one that is no more can be made again, although only the node in charge
// knows how long tables pretend to be under way.
func TestActiveOnAnyNode(t *testing.T) {
	r := newDelayingRing(t, 1, 300*time.Millisecond)
	leader := r.leader()
	other := leader%3 + 1
	for range 2 {
		r.must(other, "CreateTable", fmt.Sprintf(createT, "table"), "CREATING")
		r.must(other, "DescribeTable", `{"TableName":"table"}`, `"TableStatus":"ACTIVE"`)
		for id := uint64(1); id <= 3; id++ {
			r.must(id, "PutItem", fmt.Sprintf(putT, "table", "k", 1), "{}")
		}
		r.must(other, "DeleteTable", `{"TableName":"table"}`, "DELETING")
		if answer, _ := r.ask(other, "DescribeTable", `{"TableName":"table"}`); !strings.Contains(answer, "ResourceNotFoundException") {
			t.Errorf("after DeleteTable: %s", answer)
		}
	}
	// Who hangs in charge of tables delays those who ask for one, until another is.
	r.must(other, "CreateTable", fmt.Sprintf(createT, "table"), "CREATING")
	r.w.Crash(r.nodes[leader].name)
	r.must(other, "DescribeTable", `{"TableName":"table"}`, `"TableStatus":"ACTIVE"`)
}

// TestLossOfAnyNode: whichever node crashes, the others go on, and what was
// acknowledged is there when it is back.
func TestLossOfAnyNode(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		r := newRing(t, seed)
		r.must(1, "CreateTable", fmt.Sprintf(createT, "things"), "CREATING")
		for victim := uint64(1); victim <= 3; victim++ {
			n, others := r.nodes[victim], []uint64{victim%3 + 1, (victim+1)%3 + 1}
			r.w.Crash(n.name)
			for i, id := range others {
				r.must(id, "PutItem", fmt.Sprintf(putT, "things", fmt.Sprint("key", victim, i), victim), "{}")
			}
			r.must(others[0], "CreateTable", fmt.Sprintf(createT, fmt.Sprint("without-", victim)), "CREATING")
			n.e = r.w.Restart(n.name)
			r.boot(n)
			for i := range others {
				r.must(victim, "GetItem", fmt.Sprintf(getT, "things", fmt.Sprint("key", victim, i)), fmt.Sprintf(`"N":"%d"`, victim))
			}
			r.must(victim, "PutItem", fmt.Sprintf(putT, fmt.Sprint("without-", victim), "k", 1), "{}")
		}
		r.must(1, "Scan", `{"TableName":"things","ConsistentRead":true}`, `"Count":6`)
		for _, n := range r.nodes[1:] {
			if err := r.w.Do(n.e, "close", func() {
				if err := n.s.Close(); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCloseWithoutElection: when a node that leads is closed, others lead at once.
func TestCloseWithoutElection(t *testing.T) {
	r := newRing(t, 2)
	r.must(1, "CreateTable", fmt.Sprintf(createT, "things"), "CREATING")
	for _, n := range r.nodes[1:] {
		r.must(n.id, "PutItem", fmt.Sprintf(putT, "things", "k", n.id), "{}")
	}
	leading := func(n *ringNode) (count int) {
		if err := r.w.Do(n.e, "look", func() {
			for _, g := range n.s.tables.Groups() {
				if g.Status.Leading {
					count++
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		return count
	}
	n := r.nodes[r.leader()]
	if leading(n) == 0 {
		t.Fatal("the node that is in charge leads nothing")
	}
	if err := r.w.Do(n.e, "close", func() {
		if err := n.s.Close(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	n.s = nil
	began := r.w.Now()
	total := 0
	for _, other := range r.nodes[1:] {
		if other != n {
			r.must(other.id, "PutItem", fmt.Sprintf(putT, "things", "k", 9), "{}")
		}
	}
	took := r.w.Now().Sub(began)
	for _, other := range r.nodes[1:] {
		if other != n {
			total += leading(other)
		}
	}
	if total != 2 {
		t.Errorf("the others lead %d of 2 groups", total)
	}
	// An election takes ten to twenty ticks of 50 ms.
	if took > 100*time.Millisecond {
		t.Errorf("writes at the others took %v", took)
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add((&forwarded{Caller{"123456789012", "us-east-1"}, "CreateTable", []byte("{}")}).encode())
	f.Add((&forwardAnswer{status: 400, body: []byte("{}")}).encode())
	f.Add((&forwardAnswer{elsewhere: true, leader: 3}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := decodeForwarded(b); err == nil {
			if again, err := decodeForwarded(got.encode()); err != nil || again.who != got.who || again.name != got.name || !bytes.Equal(again.body, got.body) {
				t.Errorf("%x decodes to %v, then to %v, %v", b, got, again, err)
			}
		}
		if got, err := decodeForwardAnswer(b); err == nil {
			if again, err := decodeForwardAnswer(got.encode()); err != nil || again.elsewhere != got.elsewhere || again.leader != got.leader || again.status != got.status || !bytes.Equal(again.body, got.body) {
				t.Errorf("%x decodes to %v, then to %v, %v", b, got, again, err)
			}
		}
	})
}
