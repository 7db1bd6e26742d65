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
// messages, lost replies, messages that come late or twice, dead coordinators, recoveries, forgotten
// records, and readers of an item. What decides is the real thing: Coordinator, Inquiry, Bounds and Ledger. The
// search only carries messages, keeps the records that a partition would keep, and notes who
// saw and wrote which version of an item. In every state it checks that
//
//   - what a transaction saw is what it replaces (nothing is lost);
//   - the order of versions, and of who saw which, has no cycle: the history is serializable,
//     and in the order of timestamps;
//   - nothing is recorded against what all participants have said;
//   - the client was told the truth;
//   - a reader sees what was committed, and all of which a client was told, or another reader has seen, before it began;
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
	doubles    int    // messages that come a second time, but for OpPrepare and OpDo: these have request ids
	readers    int    // of item reads, one after the other
	reads      int    // item
	bug        string // built in, to see that the search finds it
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
	effect   Effect    // of who has prepared it
	earliest Timestamp // of the same
	records  [maxTxns]Outcome
	versions []byte // writers, + 1; 0 = the first version
}

type searchTxn struct {
	coordinator *Coordinator // nil: not begun, or dead
	begun, dead bool
	told        Outcome
	seen        [maxItems]int       // version that was judged, -1 = none
	accepted    [maxItems]Timestamp // what was said to OpPrepare, 0 = nothing
	at          Timestamp           // of the commit, as recorded
	recoveries  int
}

// A searchReader reads one item.
type searchReader struct {
	reading   bool
	must      byte     // transactions that it has to see
	met       int      // transaction + 1
	undecided int      // transaction + 1 of which it could not be sure
	inquiry   *Inquiry // about met
	saw       []byte   // versions
	wants     Effect   // of met
	count     int      // readers so far
	seen      byte     // transactions that readers have seen
}

const byReader = 100

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
	reader     searchReader
	losses     int
	deaths     int
	doubles    int
	wrong      string // that a reader has found
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
	if q := x.reader.inquiry; q != nil {
		r := *q
		y.reader.inquiry = &r
	}
	return &y
}

func (c *Coordinator) append(b []byte) []byte {
	if c == nil {
		return append(b, 0xff)
	}
	b = append(b, byte(c.phase), byte(c.outcome), byte(c.waiting), byte(c.ts), byte(c.wanted), bits(c.lost, c.partial))
	for _, v := range c.votes {
		b = append(b, byte(v)+16)
	}
	return b
}

// key returns a state as bytes. Timestamps are below 256.
func (x *searchState) key() string {
	b := []byte{byte(x.losses), byte(x.deaths), byte(x.doubles)}
	for i := range x.items {
		it := &x.items[i]
		b = append(b, byte(it.Written), byte(it.Ongoing.Born), byte(it.Checked), byte(it.Floor), byte(it.effect), byte(it.earliest), byte(it.records[0])<<4|byte(it.records[1]), byte(len(it.versions)))
		b = append(b, it.versions...)
	}
	for i := range x.txns {
		t := &x.txns[i]
		b = t.coordinator.append(b)
		b = append(b, bits(t.begun, t.dead), byte(t.told), byte(t.at), byte(t.recoveries))
		for k, v := range t.seen {
			b = append(b, byte(v), byte(t.accepted[k]))
		}
	}
	r := &x.reader
	b = append(b, bits(r.reading), r.must, byte(r.met), byte(r.undecided), byte(r.wants), byte(r.count), r.seen, byte(len(r.saw)))
	b = append(b, r.saw...)
	if q := r.inquiry; q != nil {
		b = append(b, byte(q.at), byte(q.waiting), byte(q.outcome), bits(q.missing, q.again, q.finished, q.explicit, q.sure))
	}
	messages := slices.Clone(x.messages)
	slices.SortFunc(messages, func(a, b searchMessage) int { return strings.Compare(a.String(), b.String()) })
	for _, m := range messages {
		b = append(b, byte(m.txn), byte(m.by), byte(m.to), byte(m.Op), byte(m.To), byte(m.Outcome))
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

func bits(list ...bool) (b byte) {
	for i, on := range list {
		if on {
			b |= 1 << i
		}
	}
	return b
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
	moved = s.read(x) || moved
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
		if x.doubles < s.doubles && m.Op != OpPrepare && m.Op != OpDo && m.Op != OpLook {
			y := x.clone()
			y.doubles++
			y.messages[i].by = -1
			s.reply(y, m, s.execute(y, m))
			s.explore(y, m.String()+", and comes again")
		}
		if x.losses < s.losses && m.Op != OpForget && m.Op != OpLook {
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
		x.send(m.txn, 0, s.items(m.txn), s.step(t.coordinator, r))
		if o := t.coordinator.Outcome(); o != Undecided {
			t.told = o
		}
		if c := t.coordinator; s.bug == "told before 0 is prepared" && c.phase == preparing && c.waiting == 1 && c.votes[0] == voteNone && !c.any(voteRefused) && !c.any(voteLost) {
			t.told = Committed
		}
	case m.by == byReader:
		if x.reader.inquiry != nil {
			x.send(m.txn, byReader, s.items(m.txn), s.inquire(x.reader.inquiry, r))
			s.learn(x)
		}
	case m.by > 0:
		v := &x.recoveries[m.by-1]
		if r.Others > 0 {
			v.items = s.items(m.txn)
		}
		x.send(m.txn, m.by, v.items, s.step(v.machine, r))
	}
}

func (s *search) step(c *Coordinator, r Reply) []Message {
	messages := c.Step(r)
	if s.bug == "cancelled without asking 0" && len(messages) == 1 && messages[0].Op == OpDecide && messages[0].Outcome == Cancelled {
		return c.cancel(Cancelled, 1)
	}
	return messages
}

func (s *search) inquire(q *Inquiry, r Reply) []Message {
	messages := q.Step(r)
	switch {
	case s.bug == "0 is not looked at again" && q.again:
		q.finished, q.sure = true, true
		return nil
	case s.bug == "forgotten taken for undecided" && q.finished:
		q.sure = true
	case s.bug == "implicit commit ignored" && q.outcome == Committed && !q.explicit:
		q.outcome = Undecided
	}
	return messages
}

// execute does what a partition does with a message.
func (s *search) execute(x *searchState, m searchMessage) (r Reply) {
	it, t, id := &x.items[m.to], &x.txns[m.txn], s.id(m.txn)
	items := s.items(m.txn)
	anchor, record := items[0] == m.to, &it.records[m.txn]
	switch m.Op {
	case OpPrepare, OpDo:
		effect := s.plans[m.txn][slices.Index(items, m.to)].effect
		if !it.Admits(id, *record) && s.bug != "late acceptance" {
			return Reply{Outcome: Cancelled}
		}
		before := it.Item
		if s.bug == "prepared twice" {
			it.Ongoing = ID{}
		}
		verdict, earliest := it.Prepare(id, &it.Item, func() bool { return true })
		if m.Op == OpDo || verdict != Accepted {
			it.Item = before
		}
		if verdict != Accepted {
			return Reply{Outcome: Cancelled}
		}
		earliest = max(earliest, id.Born)
		t.seen[m.to], t.accepted[m.to] = len(it.versions)-1, earliest
		if m.Op == OpDo {
			t.at = earliest
			s.write(it, m.txn, effect, earliest)
			return Reply{Outcome: Committed, At: earliest}
		}
		if it.effect, it.earliest = effect, earliest; anchor {
			*record = Prepared
		}
		return Reply{Accepted: true, At: earliest}
	case OpSettle, OpLook:
		has := it.Ongoing == id
		r := Reply{Outcome: *record, At: it.earliest, Others: len(items) - 1}
		switch {
		case m.Op == OpLook && *record == Undecided && has:
			r.Outcome = Prepared
		case m.Op == OpSettle:
			var fresh bool
			if r.Outcome, fresh = it.Settle(id, *record, has); fresh && s.bug != "no fence" {
				*record = r.Outcome
			}
		}
		if r.Outcome == Committed {
			r.At = t.at
		}
		if !anchor || r.Outcome != Prepared {
			r.Others = 0
		}
		return r
	case OpDecide:
		outcome, fresh := it.Decide(*record, m.Outcome)
		if s.bug == "cancelled again" && *record == Committed {
			outcome, fresh = m.Outcome, true
		}
		if fresh {
			*record = outcome
		}
		switch {
		case fresh && outcome == Committed:
			t.at = m.At
			s.commit(it, m.txn, m.At)
		case fresh:
			it.Cancel(id, &it.Item)
		}
		return Reply{Outcome: outcome, At: t.at}
	case OpCommit:
		if s.bug == "committed twice" && it.Ongoing == (ID{}) {
			it.Ongoing = id
		}
		at := m.At
		if s.bug == "own timestamp" {
			at = id.Born
		}
		s.commit(it, m.txn, at)
	case OpCancel:
		it.Cancel(id, &it.Item)
		if *record == Prepared {
			*record = Undecided
		}
	case OpForget:
		if s.bug != "no floor" {
			it.Forget(id, *record)
		}
		*record = Undecided
	}
	return Reply{}
}

func (s *search) commit(it *searchItem, txn int, at Timestamp) {
	if effect, ongoing := it.effect, it.Item; it.Commit(s.id(txn), at, &ongoing, Effect(0)) {
		it.Item = ongoing
		s.write(it, txn, effect, at)
	}
}

// isCommitted reports whether all participants of a transaction have accepted, and at which
// timestamp it is committed.
func (s *search) isCommitted(x *searchState, txn int) (at Timestamp, yes bool) {
	for _, item := range s.items(txn) {
		if x.txns[txn].accepted[item] == 0 {
			return 0, false
		}
		at = max(at, x.txns[txn].accepted[item])
	}
	return at, true
}

// holds reports whether a transaction has items. When it has none any more, it makes no difference what is
// said of it.
func (s *search) holds(x *searchState, txn int) bool {
	for _, item := range s.items(txn) {
		if x.items[item].Ongoing == s.id(txn) {
			return true
		}
	}
	return false
}

// read begins to read, or reads.
func (s *search) read(x *searchState) (moved bool) {
	if x.reader.inquiry != nil || !x.reader.reading && x.reader.count >= s.readers {
		return false
	}
	y := x.clone()
	r := &y.reader
	if !r.reading {
		r.reading, r.must = true, r.seen
		r.count++
		for t := range s.plans {
			if y.txns[t].told == Committed {
				r.must |= 1 << t
			}
		}
		s.explore(y, "a reader begins")
		return true
	}
	it := &y.items[s.reads]
	r.saw, r.met, r.wants = slices.Clone(it.versions), 0, it.effect
	for t := range s.plans {
		if it.Ongoing == s.id(t) {
			r.met = t + 1
		}
	}
	if r.met == 0 || r.met == r.undecided {
		s.show(y)
	} else {
		r.inquiry = NewInquiry(s.id(r.met - 1))
		y.send(r.met-1, byReader, s.items(r.met-1), r.inquiry.Start())
	}
	s.explore(y, "the reader reads")
	return true
}

// learn takes what an inquiry has found out.
func (s *search) learn(x *searchState) {
	r := &x.reader
	if !r.inquiry.Finished() {
		return
	}
	outcome, _ := r.inquiry.Outcome()
	sure := r.inquiry.Sure()
	r.inquiry = nil
	switch {
	case outcome == Committed:
		if r.wants == Write {
			r.saw = append(r.saw, byte(r.met))
		}
		s.show(x)
	case sure:
		s.show(x)
	default:
		r.undecided = r.met
	}
}

// show has the reader answer what it saw.
func (s *search) show(x *searchState) {
	r := &x.reader
	saw := byte(0)
	for _, writer := range r.saw[1:] {
		saw |= 1 << (writer - 1)
		if _, yes := s.isCommitted(x, int(writer)-1); !yes {
			x.wrong = fmt.Sprintf("a reader has seen what T%d wants to write", writer-1)
		}
	}
	for t := range s.plans {
		writes := slices.Contains(s.plans[t], searchWrite(s.reads))
		if writes && r.must&(1<<t) != 0 && saw&(1<<t) == 0 {
			x.wrong = fmt.Sprintf("a reader has not seen what T%d has written", t)
		}
	}
	*r = searchReader{count: r.count, seen: r.seen | saw}
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
		for _, item := range items {
			if len(items) > 1 && x.items[item].Ongoing == s.id(i) {
				moved = true
				s.explore(s.withRecovery(x, i, []int{items[0], item}, true), fmt.Sprintf("T%d is recovered from item %d", i, item))
			}
		}
		record, idle := x.items[items[0]].records[i], t.coordinator == nil || t.coordinator.Finished()
		if idle && record == Committed {
			moved = true
			s.explore(s.withRecovery(x, i, items, false), fmt.Sprintf("T%d is recovered from the ledger", i))
		}
		for _, item := range items {
			if x.items[item].records[i] == Cancelled {
				moved = true
				y := x.clone()
				s.execute(y, searchMessage{txn: i, by: -1, to: item, Message: Message{Op: OpForget}})
				s.explore(y, fmt.Sprintf("item %d forgets that T%d was cancelled", item, i))
			}
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
	if x.wrong != "" {
		return x.wrong
	}
	var at [maxTxns]Timestamp
	var committed [maxTxns]bool
	for t := range s.plans {
		at[t], committed[t] = s.isCommitted(x, t)
		for _, item := range s.items(t) {
			switch record := x.items[item].records[t]; {
			case committed[t] && record == Cancelled && item == s.items(t)[0] && s.holds(x, t), !committed[t] && record == Committed:
				return fmt.Sprintf("item %d records that T%d is %v", item, t, record)
			}
		}
	}
	written := [maxTxns]int{} // items by transaction
	for i := range x.items {
		versions := x.items[i].versions
		for v := 1; v < len(versions); v++ {
			writer := int(versions[v]) - 1
			written[writer]++
			if x.txns[writer].seen[i] != v-1 {
				return fmt.Sprintf("T%d has seen version %d of item %d and replaced version %d", writer, x.txns[writer].seen[i], i, v-1)
			}
			if !committed[writer] {
				return fmt.Sprintf("T%d has written item %d, but is not committed", writer, i)
			}
			if v == len(versions)-1 && x.items[i].Written != at[writer] {
				return fmt.Sprintf("item %d is of %d, but T%d of %d", i, x.items[i].Written, writer, at[writer])
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
			if !committed[t] || seen < 0 {
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
			if before[a][b] && committed[a] && committed[b] && at[a] >= at[b] {
				return fmt.Sprintf("T%d at %d is before T%d at %d", a, at[a], b, at[b])
			}
		}
	}
	for t := range s.plans {
		switch told := x.txns[t].told; {
		case told == Committed && !committed[t], told == Cancelled && committed[t]:
			return fmt.Sprintf("the client of T%d was told %v", t, told)
		}
	}
	return s.checkEnd(x, written, committed)
}

// checkEnd looks at a state in which nothing is under way.
func (s *search) checkEnd(x *searchState, written [maxTxns]int, committed [maxTxns]bool) string {
	if len(x.messages) > 0 {
		return ""
	}
	taken := false
	for i := range x.items {
		if id := x.items[i].Ongoing; id != (ID{}) {
			taken = true // somebody will come across it
			if txn := int(id.Born)/10 - 1; !s.frees(x, txn, i) {
				return fmt.Sprintf("a recovery leaves item %d with T%d", i, txn)
			}
		}
	}
	if taken {
		return ""
	}
	for t := range s.plans {
		want := 0
		for _, a := range s.plans[t] {
			if a.effect == Write && committed[t] {
				want++
			}
		}
		if written[t] != want {
			return fmt.Sprintf("in the end T%d is on %d items, want %d", t, written[t], want)
		}
	}
	return ""
}

// frees reports whether a recovery that nothing disturbs ends that a transaction has an item.
func (s *search) frees(x *searchState, txn, item int) bool {
	y := s.withRecovery(x, txn, []int{s.items(txn)[0], item}, true)
	for len(y.messages) > 0 {
		m := y.messages[0]
		y.messages = y.messages[1:]
		s.reply(y, m, s.execute(y, m))
	}
	return y.items[item].Ongoing != s.id(txn)
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

func searchTransfer() []searchPlan {
	return []searchPlan{{searchWrite(0), searchWrite(1)}, {searchWrite(0), searchWrite(1)}}
}

func searchSkew() []searchPlan {
	return []searchPlan{{searchCheck(0), searchWrite(1)}, {searchWrite(0), searchCheck(1)}}
}

func searchAnchors() []searchPlan {
	return []searchPlan{{searchWrite(0), searchWrite(1)}, {searchCheck(1), searchWrite(2)}}
}

func searchThree() []searchPlan {
	return []searchPlan{{searchWrite(0), searchCheck(1), searchWrite(2)}, {searchWrite(1)}}
}

// The small ones come first.
var searchCases = []searchCase{
	{name: "transfer, losses", plans: searchTransfer(), losses: 1},
	{name: "other anchors, losses", plans: searchAnchors(), losses: 1},
	{name: "write skew, losses", plans: searchSkew(), losses: 1},
	{name: "read at the anchor", plans: searchTransfer()[:1], losses: 1, deaths: 1, recoveries: 1, readers: 2, reads: 0},
	{name: "read elsewhere", plans: searchTransfer()[:1], losses: 1, deaths: 1, recoveries: 1, readers: 2, reads: 1},
	{name: "three items, losses", plans: searchThree(), losses: 1, recoveries: 1},
	{name: "three items, deaths", plans: searchThree(), deaths: 1, recoveries: 1},
	{name: "messages twice", plans: searchTransfer()[:1], losses: 1, deaths: 1, recoveries: 2, doubles: 1},
	{name: "transfer, deaths", plans: searchTransfer(), deaths: 1, recoveries: 1},
	{name: "write skew, deaths", plans: searchSkew(), deaths: 1, recoveries: 1},
	{name: "other anchors, deaths", plans: searchAnchors(), deaths: 1, recoveries: 1},
}

var searchAll = flag.Bool("txn.all", false, "have a reply be lost, a coordinator die and a recovery begin in every case of TestSearch")

// TestSearch visits every interleaving of each case. With -txn.all it takes minutes.
func TestSearch(t *testing.T) {
	for i, c := range searchCases {
		if testing.Short() && i >= 4 {
			break
		}
		t.Run(c.name, func(t *testing.T) {
			if *searchAll {
				c.losses, c.deaths, c.recoveries = 1, 1, 1
			}
			s := runSearch(c)
			if s.failed != "" {
				t.Error(s.failed)
			}
			t.Logf("%d states, %d ends", len(s.visited), s.ends)
			if len(s.visited) < 1000 {
				t.Errorf("only %d states", len(s.visited))
			}
		})
	}
}

// TestSearchFinds builds bugs into participants, coordinators and readers, each of which the search must find.
func TestSearchFinds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, bug := range []string{
		"prepared twice", "late acceptance", "committed twice", "own timestamp", "no floor", "check does not raise",
		"no fence", "told before 0 is prepared", "cancelled without asking 0", "cancelled again",
		"implicit commit ignored", "0 is not looked at again", "forgotten taken for undecided",
	} {
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
