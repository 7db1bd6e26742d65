package sim

import (
	"bytes"
	_ "embed" // the page
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/statordb/stator/internal/env"
)

// WriteHTML writes one page that shows the run and needs nothing else: nodes by zone,
// time from left to right; when each was up, which groups it led, what was wrong, the
// messages between them if Options.Picture kept them, and below what clients asked for, with
// the moment at which it took effect where that is known, and what transactors did. Porcupine's view of what cannot be
// explained is in it.
func (r *Result) WriteHTML(w io.Writer) error {
	page := htmlPage{
		Title: r.String(), Plan: r.Plan.Describe(), End: ms(env.Mono(r.Virtual)), Verdict: "Everything that clients saw can be explained.",
		Style: pageStyle, Script: pageScript,
	}
	if r.Err != nil {
		page.Verdict, page.Wrong = r.Err.Error(), true
	}
	several := len(r.Plan.regions()) > 1
	for i, n := range r.Plan.Nodes {
		place := "zone " + n.Zone
		if several {
			place = n.Region + " · " + place
		}
		page.Rows = append(page.Rows, r.nodeRow(nodeName(i+1), place))
	}
	page.Rows = append(page.Rows, r.faultRow())
	page.Rows = append(page.Rows, r.clientRows()...)
	page.Rows = append(page.Rows, r.ledgerRows()...)
	for _, l := range r.Letters {
		page.Letters = append(page.Letters, [4]float64{ms(l.At), float64(l.From - 1), float64(l.To - 1), float64(l.Fate)})
	}
	var v *Violation
	if errors.As(r.Err, &v) {
		var view bytes.Buffer
		if err := v.View(&view); err != nil {
			return err
		}
		page.Porcupine = view.String()
	}
	return pageTemplate.Execute(w, &page)
}

type htmlPage struct {
	Title, Plan, Verdict string
	Wrong                bool
	End                  float64 // ms
	Rows                 []pictureRow
	Letters              [][4]float64 // time in ms, from and to as rows, fate
	Porcupine            string       // a page; "": there is none
	Style                template.CSS
	Script               template.JS
}

// A pictureRow is one line of the picture.
type pictureRow struct {
	Name string       `json:"name"`
	Bars []pictureBar `json:"bars"`
}

// A pictureBar is something that lasts.
type pictureBar struct {
	From float64 `json:"from"` // ms
	To   float64 `json:"to"`
	Kind string  `json:"kind"`
	Took float64 `json:"took,omitempty"` // ms; 0: not known
	Text string  `json:"text"`
	Lane int     `json:"lane"`
}

func ms(t env.Mono) float64 { return float64(time.Duration(t).Microseconds()) / 1000 }

// nodeRow shows when a node was up, and what it led. The bars that say that it was up come
// first: the others are drawn upon them. Each reign has a lane of its own while it lasts, so
// that its end can be seen beside others that go on.
func (r *Result) nodeRow(name, place string) pictureRow {
	row := pictureRow{Name: name + " · " + place}
	end := env.Mono(r.Virtual)
	type reign struct {
		from env.Mono
		lane int
	}
	up, leads := env.Mono(-1), map[string]reign{}
	var reigns []pictureBar
	taken := []bool{true} // lanes; the first one shows the node alone
	stop := func(at env.Mono, groups ...string) {
		for _, g := range groups {
			if r, ok := leads[g]; ok {
				reigns = append(reigns, pictureBar{From: ms(r.from), To: ms(at), Kind: "lead", Text: "leads group " + g, Lane: r.lane})
				taken[r.lane] = false
				delete(leads, g)
			}
		}
	}
	start := func(at env.Mono, group string) {
		stop(at, group) // it leads in a later term
		lane := slices.Index(taken, false)
		if lane < 0 {
			lane, taken = len(taken), append(taken, false)
		}
		taken[lane] = true
		leads[group] = reign{at, lane}
	}
	all := func() (groups []string) {
		for g := range leads { //sim:ok sorted below
			groups = append(groups, g)
		}
		slices.Sort(groups)
		return groups
	}
	down := func(at env.Mono) {
		if up >= 0 {
			row.Bars = append(row.Bars, pictureBar{From: ms(up), To: ms(at), Kind: "up", Text: "up"})
		}
		up = -1
		stop(at, all()...)
	}
	for _, m := range r.Moments {
		if m.Node != name {
			continue
		}
		switch m.Kind {
		case "up":
			up = m.At
		case "down":
			down(m.At)
		case "leads":
			start(m.At, m.Text)
		case "yields":
			stop(m.At, m.Text)
		}
	}
	down(end)
	row.Bars = append(row.Bars, reigns...)
	return row
}

// faultRow shows the faults.
func (r *Result) faultRow() pictureRow {
	row := pictureRow{Name: "faults"}
	type open struct {
		at   env.Mono
		lane int
	}
	began, lanes := map[string][]open{}, []env.Mono{}
	for _, m := range r.Moments {
		name := strings.TrimSpace(m.Text + " " + m.Node)
		switch m.Kind {
		case "fault":
			lane := slices.Index(lanes, 0)
			if lane < 0 {
				lane = len(lanes)
				lanes = append(lanes, 0)
			}
			lanes[lane] = 1
			began[name] = append(began[name], open{m.At, lane})
		case "over":
			if b := began[name]; len(b) > 0 {
				row.Bars = append(row.Bars, pictureBar{From: ms(b[0].at), To: ms(m.At), Kind: "fault", Text: name, Lane: b[0].lane})
				lanes[b[0].lane] = 0
				began[name] = b[1:]
			}
		}
	}
	return row
}

// clientRows shows the operations, those of one key in one row.
func (r *Result) clientRows() (rows []pictureRow) {
	var wrong *Operation
	var v *Violation
	if errors.As(r.Err, &v) {
		wrong = v.Answer
	}
	byKey, keys := map[string]*pictureRow{}, []string{}
	for _, o := range r.History.Operations {
		if strings.HasPrefix(o.Key, "cold") {
			continue
		}
		row := byKey[o.Key]
		if row == nil {
			row = &pictureRow{Name: o.Key}
			byKey[o.Key] = row
			keys = append(keys, o.Key)
		}
		bar := pictureBar{From: ms(o.Began), To: ms(o.Ended), Text: o.String(), Lane: o.Client % 4}
		bar.Kind = [...]string{Unknown: "unknown", Done: "done", Refused: "refused", Failed: "failed"}[o.Outcome]
		if o.Return == 0 {
			bar.To = ms(env.Mono(r.Virtual))
		}
		if o.Took > 0 && (o.Outcome == Done || o.Outcome == Unknown) {
			bar.Took = ms(o.Took)
			bar.Text += fmt.Sprintf(", took effect at %g ms", bar.Took)
		}
		if o == wrong {
			bar.Kind = "wrong"
		}
		if o.Served != "" {
			bar.Text += ", at " + o.Served
		}
		row.Bars = append(row.Bars, bar)
	}
	slices.Sort(keys)
	for _, key := range keys {
		rows = append(rows, *byKey[key])
	}
	return rows
}

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle template.CSS

//go:embed page.js
var pageScript template.JS

var pageTemplate = template.Must(template.New("page").Parse(pageText))
