package txn

import (
	"encoding/binary"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An exhaustive search: two transactions over two or three items go through every interleaving of
// messages, lost replies, messages that come late, dead coordinators, recoveries and forgotten
// records. What decides is the real thing: Coordinator, Bounds and Ledger. The
// search only carries messages, keeps the records that a partition would keep, and notes who
// saw and wrote which version of an item. In every state it checks that
//
//   - what a transaction saw is what it replaces (nothing is lost);
//   - the order of versions, and of who saw which, has no cycle: the history is serializable,
//     and in the order of timestamps;
//   - the client was told the truth;
//
// and when nothing is under way any more, that a transaction is on all its items or none.
// Every item is a partition of its own.

// A plan is what a transaction wants. Its first item has the anchor.
type searchPlan []searchAction

type searchAction struct {
	item   int
	effect Effect // Write or Check
}

// A searchCase is a set of transactions, and how much may go wrong.
type searchCase struct {
	name   string
	plans  []searchPlan
	losses int // replies that do not come; the message may have its effect at any time, or never
	deaths int // coordinators that die
	// recoveries of each transaction while something else is under way. When nothing is, there
	// is always one.
	recoveries int
	bug        string // built into the participants, to see that the search finds it
}

const (
	maxItems = 3
	maxTxns  = 2
)

// A searchItem is an item with its partition.
type searchItem struct {
	Item
	Bounds
	Ledger
	effect   Effect // of who has prepared it
	versions []byte // writers, + 1; 0 = the first version
}

type searchTxn struct {
	coordinator *Coordinator // nil: not begun, or dead
	begun, dead bool
	told        Outcome
	seen        [maxItems]int // version that was judged, -1 = none
	at          Timestamp     // of the commit
	recorded    Outcome       // in the ledger
	wasDecided  bool          // the ledger has, or had, a record of a commit
	recoveries  int
}

// A searchMessage is under way. If nobody waits for its reply, by is -1.
type searchMessage struct {
	txn, by int // by: 0 the coordinator, n the n-th recovery
	to      int // item
	Message
}

type searchRecovery struct {
	txn     int
	items   []int // by participant
	machine *Coordinator
}

type searchState struct {
	items      [maxItems]searchItem
	txns       [maxTxns]searchTxn
	messages   []searchMessage
	recoveries []searchRecovery
	losses     int
	deaths     int
}

type search struct {
	searchCase
	visited map[string]bool
	ends    int
	failed  string
	trace   []string
}

func (s *search) id(txn int) ID { return ID{Node: 1, Born: Timestamp(10 * (txn + 1))} }

func (c *Coordinator) clone() *Coordinator {
	if c == nil {
		return nil
	}
	d := *c
	d.votes = slices.Clone(c.votes)
	return &d
}

func (x *searchState) clone() *searchState {
	y := *x
	for i := range y.items {
		y.items[i].versions = slices.Clone(x.items[i].versions)
	}
	for i := range y.txns {
		y.txns[i].coordinator = x.txns[i].coordinator.clone()
	}
	y.messages = slices.Clone(x.messages)
	y.recoveries = slices.Clone(x.recoveries)
	for i := range y.recoveries {
		y.recoveries[i].machine = x.recoveries[i].machine.clone()
	}
	return &y
}

func (c *Coordinator) append(b []byte) []byte {
	if c == nil {
		return append(b, 0xff)
	}
	b = append(b, byte(c.phase), byte(c.outcome), byte(c.waiting), byte(c.ts))
	if c.lost {
		b = append(b, 1)
	}
	if c.unsure {
		b = append(b, 2)
	}
	for _, v := range c.votes {
		b = append(b, byte(v)+16)
	}
	return b
}

// key returns a state as bytes. Timestamps are below 256.
func (x *searchState) key() string {
	b := []byte{byte(x.losses), byte(x.deaths)}
	for i := range x.items {
		it := &x.items[i]
		b = append(b, byte(it.Written), byte(it.Ongoing.Born), byte(it.Checked), byte(it.Floor), byte(it.effect), byte(len(it.versions)))
		b = append(b, it.versions...)
	}
	for i := range x.txns {
		t := &x.txns[i]
		b = t.coordinator.append(b)
		flags := byte(0)
		for k, on := range []bool{t.begun, t.dead, t.wasDecided} {
			if on {
				flags |= 1 << k
			}
		}
		b = append(b, flags, byte(t.told), byte(t.at), byte(t.recorded), byte(t.recoveries))
		for _, v := range t.seen {
			b = append(b, byte(v))
		}
	}
	messages := slices.Clone(x.messages)
	slices.SortFunc(messages, func(a, b searchMessage) int { return strings.Compare(a.String(), b.String()) })
	for _, m := range messages {
		b = append(b, byte(m.txn), byte(m.by), byte(m.to), byte(m.Op), byte(m.To))
		b = binary.BigEndian.AppendUint16(b, uint16(m.At))
	}
	for i := range x.recoveries {
		b = append(x.recoveries[i].machine.append(b), byte(x.recoveries[i].txn))
		for _, item := range x.recoveries[i].items {
			b = append(b, byte(item))
		}
	}
	return string(b)
}

func (m searchMessage) String() string {
	return fmt.Sprintf("T%d/%d %v to item %d", m.txn, m.by, m.Op, m.to)
}

// explore visits what follows from a state.
func (s *search) explore(x *searchState, step string) {
	if s.failed != "" {
		return
	}
	s.trace = append(s.trace, step)
	defer func() { s.trace = s.trace[:len(s.trace)-1] }()
	if bad := s.check(x); bad != "" {
		s.failed = bad + ", after\n\t" + strings.Join(s.trace, "\n\t")
		return
	}
	key := x.key()
	if s.visited[key] {
		return
	}
	s.visited[key] = true
	moved := s.begin(x)
	moved = s.carry(x) || moved
	moved = s.kill(x) || moved
	moved = s.recover(x) || moved
	if !moved {
		s.ends++
	}
}

func (s *search) begin(x *searchState) (moved bool) {
	for i := range s.plans {
		if x.txns[i].begun {
			continue
		}
		y := x.clone()
		t := &y.txns[i]
		t.begun, t.coordinator = true, NewCoordinator(s.id(i), s.id(i).Born, len(s.plans[i]))
		y.send(i, 0, s.items(i), t.coordinator.Start())
		s.explore(y, fmt.Sprintf("T%d begins", i))
		moved = true
	}
	return moved
}

func (s *search) items(txn int) (items []int) {
	for _, a := range s.plans[txn] {
		items = append(items, a.item)
	}
	return items
}

func (x *searchState) send(txn, by int, items []int, messages []Message) {
	for _, m := range messages {
		x.messages = append(x.messages, searchMessage{txn: txn, by: by, to: items[m.To], Message: m})
	}
}

// carry delivers each message, has its reply be lost, or loses it.
func (s *search) carry(x *searchState) (moved bool) {
	for i, m := range x.messages {
		moved = true
		y := x.clone()
		y.messages = slices.Delete(y.messages, i, i+1)
		s.reply(y, m, s.execute(y, m))
		s.explore(y, m.String())
		if m.by < 0 { // nobody waits for it: it may also never arrive
			y := x.clone()
			y.messages = slices.Delete(y.messages, i, i+1)
			s.explore(y, m.String()+" is lost")
			continue
		}
		if x.losses < s.losses && m.Op != OpForget {
			y := x.clone()
			y.losses++
			y.messages[i].by = -1
			s.reply(y, m, Reply{Lost: true})
			s.explore(y, m.String()+" has no reply")
		}
	}
	return moved
}

// reply gives a reply to whoever waits for it.
func (s *search) reply(x *searchState, m searchMessage, r Reply) {
	r.From, r.Op = m.To, m.Op
	switch {
	case m.by == 0:
		t := &x.txns[m.txn]
		if t.coordinator == nil {
			return
		}
		x.send(m.txn, 0, s.items(m.txn), t.coordinator.Step(r))
		if o := t.coordinator.Outcome(); o != Undecided {
			t.told = o
		}
	case m.by > 0:
		v := &x.recoveries[m.by-1]
		x.send(m.txn, m.by, v.items, v.machine.Step(r))
	}
}

// execute does what a partition does with a message.
func (s *search) execute(x *searchState, m searchMessage) (r Reply) {
	it, t, id := &x.items[m.to], &x.txns[m.txn], s.id(m.txn)
	switch m.Op {
	case OpPrepare, OpJudge, OpDecide:
		effect := s.plans[m.txn][slices.Index(s.items(m.txn), m.to)].effect
		if m.Op != OpPrepare && t.recorded == Committed {
			return Reply{Outcome: Committed, At: t.at}
		}
		before := it.Item
		if s.bug == "prepared twice" {
			it.Ongoing = ID{}
		}
		verdict, earliest := it.Prepare(id, &it.Item, func() bool { return true })
		if m.Op != OpPrepare || verdict != Accepted {
			it.Item = before
		}
		if verdict != Accepted || m.Op == OpJudge {
			return Reply{Outcome: Cancelled}
		}
		t.seen[m.to] = len(it.versions) - 1
		if m.Op == OpPrepare {
			it.effect = effect
			return Reply{Accepted: true, At: earliest}
		}
		at := max(m.At, earliest)
		if len(s.plans[m.txn]) > 1 {
			outcome, record := it.Decide(id, t.recorded, Committed)
			if s.bug == "late commit" {
				outcome, record = Committed, true
			}
			if outcome != Committed {
				return Reply{Outcome: outcome}
			}
			if record {
				t.recorded = outcome
			}
		}
		t.at, t.wasDecided = at, true
		s.write(it, m.txn, effect, at)
		return Reply{Outcome: Committed, At: at}
	case OpCommit:
		if s.bug == "committed twice" && it.Ongoing == (ID{}) {
			it.Ongoing = id
		}
		if effect := it.effect; it.Ongoing == id {
			at := m.At
			if s.bug == "own timestamp" {
				at = id.Born
			}
			ongoing := it.Item
			if it.Commit(id, at, &ongoing, Effect(0)) {
				it.Item = ongoing
				s.write(it, m.txn, effect, at)
			}
		}
	case OpCancel:
		it.Cancel(id, &it.Item)
	case OpSettle:
		outcome, record := it.Decide(id, t.recorded, Cancelled)
		if record {
			t.recorded = outcome
		}
		return Reply{Outcome: outcome, At: t.at}
	case OpForget:
		if t.recorded != Undecided {
			if s.bug != "no floor" {
				it.Forget(id, t.recorded)
			}
			t.recorded = Undecided
		}
	}
	return Reply{}
}

func (s *search) write(it *searchItem, txn int, effect Effect, at Timestamp) {
	if s.bug == "check does not raise" && effect == Check {
		return
	}
	it.Take(at, &it.Item, effect)
	if effect == Write {
		it.versions = append(it.versions, byte(txn+1))
	}
}

// kill has a coordinator die. Its messages are under way still.
func (s *search) kill(x *searchState) (moved bool) {
	for i := range s.plans {
		t := &x.txns[i]
		if x.deaths == s.deaths || t.coordinator == nil || t.coordinator.Finished() {
			continue
		}
		y := x.clone()
		y.deaths++
		y.txns[i].coordinator, y.txns[i].dead = nil, true
		for k := range y.messages {
			if m := &y.messages[k]; m.txn == i && m.by == 0 {
				m.by = -1
			}
		}
		s.explore(y, fmt.Sprintf("the coordinator of T%d dies", i))
		moved = true
	}
	return moved
}

// recover begins to finish a transaction: for the sake of an item that it has, or of a record
// in the ledger; or it forgets that one was cancelled.
func (s *search) recover(x *searchState) (moved bool) {
	for i := range s.plans {
		t := &x.txns[i]
		if !t.begun || t.recoveries >= s.recoveries && len(x.messages) > 0 {
			continue
		}
		items := s.items(i)
		for _, item := range items[1:] {
			if x.items[item].Ongoing == s.id(i) {
				moved = true
				s.explore(s.withRecovery(x, i, []int{items[0], item}, true), fmt.Sprintf("T%d is recovered from item %d", i, item))
			}
		}
		switch {
		case t.recorded == Committed && (t.coordinator == nil || t.coordinator.Finished()):
			moved = true
			s.explore(s.withRecovery(x, i, items, false), fmt.Sprintf("T%d is recovered from the ledger", i))
		case t.recorded == Cancelled:
			moved = true
			y := x.clone()
			s.execute(y, searchMessage{txn: i, by: -1, to: items[0], Message: Message{Op: OpForget}})
			s.explore(y, fmt.Sprintf("it is forgotten that T%d was cancelled", i))
		}
	}
	return moved
}

func (s *search) withRecovery(x *searchState, txn int, items []int, partial bool) *searchState {
	y := x.clone()
	y.txns[txn].recoveries++
	// Those that are done make room.
	if len(y.messages) == 0 {
		y.recoveries = nil
	}
	v := searchRecovery{txn: txn, items: items, machine: NewRecovery(s.id(txn), len(items), partial)}
	y.recoveries = append(y.recoveries, v)
	y.send(txn, len(y.recoveries), items, v.machine.Start())
	return y
}

// check looks for what must never be.
func (s *search) check(x *searchState) string {
	written := [maxTxns]int{} // items by transaction
	for i := range x.items {
		versions := x.items[i].versions
		for v := 1; v < len(versions); v++ {
			writer := int(versions[v]) - 1
			written[writer]++
			if x.txns[writer].seen[i] != v-1 {
				return fmt.Sprintf("T%d has seen version %d of item %d and replaced version %d", writer, x.txns[writer].seen[i], i, v-1)
			}
			if v == len(versions)-1 && x.items[i].Written != x.txns[writer].at {
				return fmt.Sprintf("item %d is of %d, but T%d of %d", i, x.items[i].Written, writer, x.txns[writer].at)
			}
		}
	}
	before := [maxTxns][maxTxns]bool{}
	edge := func(a, b int) {
		if a != b && a >= 0 && b >= 0 {
			before[a][b] = true
		}
	}
	for i := range x.items {
		versions := x.items[i].versions
		for v := 1; v < len(versions); v++ {
			edge(int(versions[v-1])-1, int(versions[v])-1)
		}
		for t := range s.plans {
			seen := x.txns[t].seen[i]
			if !x.txns[t].wasDecided || seen < 0 {
				continue
			}
			edge(int(versions[seen])-1, t)
			if seen+1 < len(versions) {
				edge(t, int(versions[seen+1])-1)
			}
		}
	}
	if before[0][1] && before[1][0] {
		return "T0 and T1 are before each other"
	}
	for a := range before {
		for b := range before[a] {
			if before[a][b] && x.txns[a].wasDecided && x.txns[b].wasDecided && x.txns[a].at >= x.txns[b].at {
				return fmt.Sprintf("T%d at %d is before T%d at %d", a, x.txns[a].at, b, x.txns[b].at)
			}
		}
	}
	for t := range s.plans {
		switch told := x.txns[t].told; {
		case told == Committed && !x.txns[t].wasDecided, told == Cancelled && x.txns[t].wasDecided:
			return fmt.Sprintf("the client of T%d was told %v", t, told)
		}
	}
	return s.checkEnd(x, written)
}

// checkEnd looks at a state in which nothing is under way.
func (s *search) checkEnd(x *searchState, written [maxTxns]int) string {
	if len(x.messages) > 0 {
		return ""
	}
	for i := range x.items {
		if x.items[i].Ongoing != (ID{}) {
			return "" // somebody will come across it
		}
	}
	for t := range s.plans {
		want := 0
		for _, a := range s.plans[t] {
			if a.effect == Write && x.txns[t].wasDecided {
				want++
			}
		}
		if written[t] != want {
			return fmt.Sprintf("in the end T%d is on %d items, want %d", t, written[t], want)
		}
	}
	return ""
}

func runSearch(c searchCase) *search {
	s := &search{searchCase: c, visited: make(map[string]bool)}
	x := &searchState{}
	for i := range x.items {
		x.items[i].versions = []byte{0}
		x.items[i].Exists, x.items[i].Written = true, Timestamp(15*(i%2)+1) // one is newer than T0
	}
	for t := range x.txns {
		x.txns[t].seen = [maxItems]int{-1, -1, -1}
	}
	s.explore(x, "nothing has happened")
	return s
}

func searchWrite(item int) searchAction { return searchAction{item, Write} }
func searchCheck(item int) searchAction { return searchAction{item, Check} }

var searchCases = []searchCase{
	{name: "transfer", plans: []searchPlan{{searchWrite(0), searchWrite(1)}, {searchWrite(0), searchWrite(1)}}, losses: 1, deaths: 1, recoveries: 1},
	{name: "write skew", plans: []searchPlan{{searchCheck(0), searchWrite(1)}, {searchWrite(0), searchCheck(1)}}, losses: 1, deaths: 1, recoveries: 1},
	{name: "other anchors", plans: []searchPlan{{searchWrite(0), searchWrite(1)}, {searchCheck(1), searchWrite(2)}}, losses: 1, deaths: 1, recoveries: 1},
	{name: "three items", plans: []searchPlan{{searchWrite(0), searchCheck(1), searchWrite(2)}, {searchWrite(1)}}, losses: 1, deaths: 1, recoveries: 1},
}

var searchLosses = flag.Int("txn.losses", 1, "how many replies may be lost in TestSearch")

// TestSearch visits every interleaving. More than one lost reply takes minutes.
func TestSearch(t *testing.T) {
	for i, c := range searchCases {
		if testing.Short() && i < 3 {
			continue
		}
		c.losses = *searchLosses
		s := runSearch(c)
		if s.failed != "" {
			t.Errorf("%s: %s", c.name, s.failed)
		}
		t.Logf("%s: %d states, %d ends", c.name, len(s.visited), s.ends)
		if len(s.visited) < 1000 {
			t.Errorf("%s: only %d states", c.name, len(s.visited))
		}
	}
}

// TestSearchFinds builds bugs into the participants, each of which the search must find.
func TestSearchFinds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, bug := range []string{"prepared twice", "late commit", "committed twice", "own timestamp", "no floor", "check does not raise"} {
		found := false
		for _, c := range searchCases {
			c.bug = bug
			if s := runSearch(c); s.failed != "" {
				found = true
				t.Logf("%s, in %s: %s", bug, c.name, strings.SplitN(s.failed, ",", 2)[0])
				break
			}
		}
		if !found {
			t.Errorf("the search does not find %q", bug)
		}
	}
}
