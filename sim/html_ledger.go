package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// ledgerNames are what the page calls items of the ledger, by the first letter of their keys.
var ledgerNames = map[string]string{"a": "accounts", "d": "pairs", "l": "lists", "o": "once"}

// ledgerRows shows the requests of transactors, those about one kind of items in one row, and of registers those about
// one group; each has a lane of its own while it lasts. An attempt is not shown by itself.
func (r *Result) ledgerRows() (rows []pictureRow) {
	if r.ledger == nil {
		return nil
	}
	type span struct {
		row   *pictureRow
		lanes []env.Mono // when each is free
	}
	spans := map[string]*span{}
	for _, x := range r.ledger.requests {
		if len(x.op.Keys) == 0 {
			continue
		}
		name := "ledger: " + ledgerNames[x.op.Keys[0][:1]]
		if group, _, ok := strings.Cut(x.op.Keys[0], "."); ok && strings.HasPrefix(group, "g") {
			name = "ledger: registers " + group
		}
		s := spans[name]
		if s == nil {
			s = &span{row: &pictureRow{Name: name}}
			spans[name] = s
		}
		end := x.list.Ended
		if x.outcome == Unknown {
			end = env.Mono(r.Virtual)
		}
		lane := slices.IndexFunc(s.lanes, func(free env.Mono) bool { return free <= x.list.Began })
		if lane < 0 {
			lane, s.lanes = len(s.lanes), append(s.lanes, 0)
		}
		s.lanes[lane] = end
		kind := [...]string{Unknown: "unknown", Done: "done", Refused: "refused", Failed: "failed"}[x.outcome]
		s.row.Bars = append(s.row.Bars, pictureBar{From: ms(x.list.Began), To: ms(end), Kind: kind, Text: x.story(), Lane: lane})
	}
	for _, name := range sortedKeys(spans) {
		rows = append(rows, *spans[name].row)
	}
	return rows
}

// story tells what a request asked for, and what it was told.
func (x *tx) story() string {
	text := x.String()
	switch x.op.Do {
	case "lists":
		if x.outcome != Done {
			text = fmt.Sprintf("client %d reads %s", x.client, strings.Join(x.op.Keys, ", "))
		}
	case "transfer":
		text += fmt.Sprint(": ", x.op.Count)
	}
	if x.op.Do != "set" && x.op.Do != "see" { // which say it themselves
		text += [...]string{" -> unknown", " -> done", " -> refused", " -> failed"}[x.outcome]
	}
	if x.saw != nil && (x.op.Do == "audit" || x.op.Do == "watch" || x.op.Do == "glimpse") {
		text += ", saw " + jsonOf(x.saw)
	}
	switch {
	case x.token != "":
		text += ", a transaction"
	case x.single():
		text += ", alone"
	}
	if x.op.Via != "" {
		text += ", via " + x.op.Via
	}
	return text
}
