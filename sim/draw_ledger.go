package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A ledgerDrawer draws who asks for what of the ledger. It has dice of its own, so that
// the rest of a plan does not depend on it.
type ledgerDrawer struct {
	*drawer
	weights []int         // of transactLoads
	pause   time.Duration // mean, between bursts; longer if requests come about faults
	gap     time.Duration // mean, between requests of a burst
}

// drawTransactors draws the clients of the ledger, for half of the plans, but not yet what they
// ask for: that depends on faults, some of which are drawn for plans with transactors only.
func (d *drawer) drawTransactors() {
	p := d.plan
	l := &ledgerDrawer{drawer: &drawer{Rand: rand.New(rand.NewPCG(p.Seed, 0x1ed6e5)), o: d.o, plan: p}}
	all := d.o.wants(transactionsLoad)
	some := all || slices.ContainsFunc(transactorLoads, d.o.wants)
	if half := l.IntN(2) == 0; half && len(d.o.Workload) == 0 || !some || d.noLedger || d.o.Stack == GuestStack {
		return
	}
	d.ledger = l
	l.pause = time.Duration(l.one(50, 100, 200)) * time.Millisecond
	patience := Duration(time.Duration(l.one(20, 200, 2000)) * time.Millisecond)
	if d.cluster() {
		l.pause = time.Duration(l.one(300, 600, 1200)) * time.Millisecond
		patience = Duration(time.Duration(l.one(200, 1000, 5000)) * time.Millisecond)
	}
	if len(p.regions()) > 1 {
		patience = max(patience, 25*p.Links.World.Base)
	}
	l.gap = time.Duration(l.one(1, 3, 10)) * time.Millisecond
	retries, roams := l.one(0, 2, 5), l.IntN(3)
	l.weights = make([]int, len(transactLoads))
	for i := range l.weights {
		l.weights[i] = l.one(0, 1, 1, 3)
	}
	l.weights[l.IntN(len(l.weights))] += 2
	for i, load := range transactorLoads {
		if !all && !d.o.wants(load) {
			l.weights[i] = 0
		} else if len(d.o.Workload) > 0 {
			l.weights[i]++
		}
	}
	if d.cluster() && d.o.Attempts == 0 && l.IntN(3) == 0 {
		// A table that is made needs the elections of its groups within it.
		p.Knobs.Patience = max(Duration(time.Duration(l.one(200, 1000))*time.Millisecond), 40*p.Knobs.Tick)
	}
	if d.o.Attempts == 0 {
		p.Knobs.Books, p.Knobs.HeldIndex = l.one(0, 0, 0, 2), l.IntN(4) == 0
	}
	transactors := 2 + l.IntN(5)
	if d.cluster() {
		transactors = 2 + l.IntN(3)
	}
	for i := range transactors {
		t := TransactorPlan{Node: 1 + (i+l.IntN(2))%len(p.Nodes), Patience: patience, Retries: retries, Roams: roams == 0 || roams == 1 && i%2 == 0}
		p.Transactors = append(p.Transactors, t)
	}
}

// burstsOfLostCalls is how many bursts there are while requests between nodes are lost.
const burstsOfLostCalls = 3

// drawTransactions draws what the transactors ask for. Their requests come in bursts, most of
// them for the same few keys, so that they meet without being many; if the plan's clients ask
// about faults, transactors join half of their bursts, and have few others.
func (d *drawer) drawTransactions() {
	p, l := d.plan, d.ledger
	if l == nil {
		return
	}
	pause := l.pause
	if len(d.tempo.bursts) > 0 {
		pause *= 3
	}
	times := l.times(pause)
	for _, b := range d.tempo.bursts {
		if l.IntN(2) == 0 {
			times = append(times, b.at)
		}
	}
	if len(d.tempo.bursts) > 0 {
		for _, f := range p.Nemesis {
			if kindOf(f.Kind).leads { // it waits for a transaction
				times = append(times, min(p.For-1, f.At+l.exp(50*time.Millisecond)))
			}
			for range burstsOfLostCalls {
				if f.Kind == callsLost { // one of some requests that are sent again later
					times = append(times, f.At+Duration(l.Float64()*float64(f.For)))
				}
			}
		}
	}
	slices.Sort(times)
	loads, duels, vanish := make([]int, len(times)), make([]*Transaction, len(times)), make([]bool, len(times))
	for i := range loads {
		if loads[i] = l.weighted(l.weights); l.IntN(3) == 0 {
			duels[i], vanish[i] = l.drawDuel(loads[i], fmt.Sprint("d", i)), l.IntN(2) == 0
		}
	}
	for i := range p.Transactors {
		t := &p.Transactors[i]
		for k, at := range times {
			for round := range l.IntN(5) {
				load, value := loads[k], fmt.Sprintf("t%d.%d", i+1, len(t.Ops)+1)
				if l.IntN(4) == 0 {
					load = l.weighted(l.weights)
				}
				x := transactLoads[load](l.drawer, value)
				switch {
				case duels[k] == nil && round > 0 && l.IntN(3) == 0:
					if own := t.Ops[len(t.Ops)-1].ownItem(l.drawer); own != nil {
						x = *own
					}
				case duels[k] == nil:
				case duels[k].Do == "once":
					if x = *duels[k]; round > 0 || i != k%len(p.Transactors) {
						x = Transaction{Do: glimpse, Keys: x.Keys, Value: x.Value}
					}
				case round == 0:
					if x = duels[k].turned(i, value); vanish[k] && i%2 == 1 && x.Do == "set" {
						x.How = slices.Repeat([]string{"delete"}, len(x.Keys))
					}
				case round == 1 && l.IntN(2) == 0:
					x = duels[k].looked(i)
				}
				x.At, x.Via = at, []string{"", "", "json", "partiql"}[l.IntN(4)]
				t.Ops = append(t.Ops, x)
				at += l.exp(l.gap)
			}
		}
	}
}

// drawDuel draws a transaction that all of a burst send at the same moment, each with its keys in another
// order: what one only looks at another one writes, and whichever comes first to one partition may come second to
// the next. Of items that are put once one puts them, and the others look. nil: this load has none.
func (l *ledgerDrawer) drawDuel(load int, value string) *Transaction {
	for range 8 {
		x := transactLoads[load](l.drawer, value)
		if x.Again = ""; len(x.Keys) < 2 {
			continue
		}
		switch x.Do {
		case "append":
			x.How = []string{"known"}
			return &x
		case "transfer", "leave", "set", "once":
			return &x
		}
	}
	return nil
}

// turned returns the request with its keys turned by so many places; of one that sets registers every third
// is a batch of single writes of the same.
func (x Transaction) turned(by int, value string) Transaction {
	if x.Do == "set" && by%3 == 2 {
		x.Do, x.How = scatter, slices.Repeat([]string{"put"}, len(x.Keys))
	}
	by %= len(x.Keys)
	x.Keys = slices.Concat(x.Keys[by:], x.Keys[:by])
	if x.Value != "" {
		x.Value = value
	}
	return x
}

// looked returns a request that reads at one moment what a duel is about, or, for every second client, one of its
// items: that is read while the client's own transaction is known to be done, and not yet everywhere.
func (x Transaction) looked(by int) Transaction {
	if x.Do == "transfer" {
		return Transaction{Do: "audit", Keys: ledgerKeys("a")}
	}
	if by%2 == 1 && x.Do != "leave" {
		at := by / 2 % len(x.Keys)
		x.Keys = x.Keys[at : at+1]
	}
	return Transaction{Do: map[string]string{"append": "lists", "leave": "watch", "set": "see"}[x.Do], Keys: x.Keys}
}

// ownItem returns a read of one of the items that a transaction has written, for its own client: that knows it to be
// done, and it may not be done everywhere yet. nil: nobody keeps what a single read of such an item shows.
func (x *Transaction) ownItem(d *drawer) *Transaction {
	read := map[string]string{"append": "lists", "set": "see"}[x.Do]
	if read == "" || len(x.Keys) < 2 {
		return nil
	}
	at := d.IntN(len(x.Keys))
	return &Transaction{Do: read, Keys: x.Keys[at : at+1]}
}

// transactLoads draw one request each, of accounts, pairs, lists, registers and items put once.
var transactLoads = []func(d *drawer, value string) Transaction{drawBank, drawPair, drawLists, drawRegisters, drawOnce}

// some draws n of the keys, in any order.
func (d *drawer) some(keys []string, n int) []string {
	d.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:n]
}

func (d *drawer) drawAgain(x *Transaction) {
	switch d.IntN(8) {
	case 0:
		x.Again = "same"
	case 1:
		x.Again = "other"
	}
}

func drawBank(d *drawer, _ string) Transaction {
	switch k := d.IntN(10); {
	case k < 5:
		x := Transaction{Do: "transfer", Keys: d.some(ledgerKeys("a"), 2), Count: d.Int64N(opening / 2)}
		d.drawAgain(&x)
		return x
	case k < 8:
		return Transaction{Do: "audit", Keys: ledgerKeys("a")}
	}
	return Transaction{Do: "touch", Keys: d.some(ledgerKeys("a"), 1)}
}

func drawPair(d *drawer, _ string) Transaction {
	pair := d.some(ledgerKeys(fmt.Sprint("d", d.IntN(pairs))), 2)
	switch k := d.IntN(10); {
	case k < 4:
		return Transaction{Do: "leave", Keys: pair}
	case k < 7:
		return Transaction{Do: "join", Keys: pair[:1]}
	}
	return Transaction{Do: "watch", Keys: pair}
}

func drawLists(d *drawer, value string) Transaction {
	if d.IntN(6) == 0 {
		return Transaction{Do: []string{gather, gather, seek}[d.IntN(3)], Keys: d.some(ledgerKeys("l"), 2+d.IntN(lists-1))}
	}
	keys := d.some(ledgerKeys("l"), 1+d.IntN(lists))
	if d.IntN(2) == 0 {
		return Transaction{Do: "lists", Keys: keys}
	}
	x := Transaction{Do: "append", Keys: keys[:min(len(keys), 3)], Value: value}
	if len(x.Keys) > 1 && d.IntN(2) == 0 {
		x.How = []string{"known"}
	}
	d.drawAgain(&x)
	return x
}

func drawRegisters(d *drawer, value string) Transaction {
	if d.IntN(3) == 0 {
		return drawMany(d, value)
	}
	keys := d.some(ledgerKeys(fmt.Sprint("g", d.IntN(groups))), 1+d.IntN(groupSize))
	if d.IntN(5) < 2 {
		return Transaction{Do: "see", Keys: keys}
	}
	x := Transaction{Do: "set", Keys: keys, Value: value}
	for range keys {
		how := []string{"put", "put", "put", "delete"}[d.IntN(4)]
		switch d.IntN(6) {
		case 0:
			how = "check " + conditions[1+d.IntN(3)]
		case 1, 2:
			how += " " + conditions[1+d.IntN(3)]
		}
		x.How = append(x.How, how)
	}
	d.drawAgain(&x)
	return x
}

func drawOnce(d *drawer, value string) Transaction {
	x := Transaction{Do: "once", Keys: onceKeys(value, 2+d.IntN(3)), Value: value}
	d.drawAgain(&x)
	return x
}
