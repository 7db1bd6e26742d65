package sim

import (
	"encoding/json"
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
// time from left to right; when each was up, which groups it led, what was wrong, and
// below what clients asked for. link is a page with Porcupine's view, "" if there is
// none.
func (r *Result) WriteHTML(w io.Writer, link string) error {
	page := htmlPage{
		Title: r.String(), Plan: r.Plan.Describe(), Link: link, End: ms(env.Mono(r.Virtual)), Verdict: "Everything that clients saw can be explained.",
	}
	if r.Err != nil {
		page.Verdict = r.Err.Error()
	}
	for i, n := range r.Plan.Nodes {
		page.Rows = append(page.Rows, r.nodeRow(nodeName(i+1), n.Zone))
	}
	page.Rows = append(page.Rows, r.faultRow())
	page.Rows = append(page.Rows, r.clientRows()...)
	data, err := json.Marshal(page.Rows)
	if err != nil {
		return err
	}
	page.Data = template.JS(data) // json escapes < and >
	return pageTemplate.Execute(w, &page)
}

type htmlPage struct {
	Title, Plan, Verdict, Link string
	End                        float64 // ms
	Rows                       []pictureRow
	Data                       template.JS
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
	Text string  `json:"text"`
	Lane int     `json:"lane"`
}

func ms(t env.Mono) float64 { return float64(time.Duration(t).Microseconds()) / 1000 }

// nodeRow shows when a node was up, and what it led.
func (r *Result) nodeRow(name, zone string) pictureRow {
	row := pictureRow{Name: name + " · zone " + zone}
	end := env.Mono(r.Virtual)
	up, leads := env.Mono(-1), map[string]env.Mono{}
	stop := func(at env.Mono, groups ...string) {
		for _, g := range groups {
			if from, ok := leads[g]; ok {
				row.Bars = append(row.Bars, pictureBar{ms(from), ms(at), "lead", "leads group " + g, 1})
				delete(leads, g)
			}
		}
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
			row.Bars = append(row.Bars, pictureBar{ms(up), ms(at), "up", "up", 0})
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
			leads[m.Text] = m.At
		case "yields":
			stop(m.At, m.Text)
		}
	}
	down(end)
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
				row.Bars = append(row.Bars, pictureBar{ms(b[0].at), ms(m.At), "fault", name, b[0].lane})
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

var pageTemplate = template.Must(template.New("page").Parse(fmt.Sprintf(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<style>%s</style>
<h1>{{.Title}}</h1>
<pre class="verdict">{{.Verdict}}</pre>
{{if .Link}}<p><a href="{{.Link}}">The operations on that key, as Porcupine sees them</a></p>{{end}}
<details><summary>Plan</summary><pre>{{.Plan}}</pre></details>
<p class="legend"><b class="up">up</b> <b class="lead">leads</b> <b class="fault">fault</b> <b class="done">done</b>
<b class="refused">condition false</b> <b class="failed">failed</b> <b class="unknown">unknown</b> <b class="wrong">cannot be explained</b>
· wheel: zoom · drag: move · point at something to read it</p>
<div id="text">&nbsp;</div><canvas id="c"></canvas>
<script>const rows={{.Data}},end={{.End}};%s</script></html>
`, pageStyle, pageScript)))

const pageStyle = `body{font:14px system-ui,sans-serif;margin:16px;color:#222;background:#fff}h1{font-size:16px}
pre{background:#f4f4f4;padding:8px;overflow:auto;max-height:16em}.verdict{white-space:pre-wrap}
#text{font:12px ui-monospace,monospace;height:2.6em;overflow:hidden}canvas{width:100%;display:block;border:1px solid #ddd}
.legend b{font-weight:400;padding:1px 6px;border-radius:3px}
.up{background:#d7ead7}.lead{background:#5b8def;color:#fff}.fault{background:#f0b455}.done{background:#7bb77b}
.refused{background:#b9d3b9}.failed{background:#ccc}.unknown{background:#e7c6e7}.wrong{background:#d22;color:#fff}`

const pageScript = `
const color={up:'#d7ead7',lead:'#5b8def',fault:'#f0b455',done:'#7bb77b',refused:'#b9d3b9',failed:'#ccc',unknown:'#e7c6e7',wrong:'#d22'};
const c=document.getElementById('c'),g=c.getContext('2d'),text=document.getElementById('text');
const label=130,laneHeight=9,gap=6;let from=0,to=end,y=20;
for(const r of rows){r.lanes=1;for(const b of r.bars)r.lanes=Math.max(r.lanes,b.lane+1);r.y=y;y+=r.lanes*laneHeight+gap}
let width=0;
function x(t){return label+(t-from)/(to-from)*(width-label)}
function draw(){width=c.clientWidth;c.width=width*devicePixelRatio;c.height=(y+4)*devicePixelRatio;c.style.height=(y+4)+'px';
g.scale(devicePixelRatio,devicePixelRatio);g.font='11px system-ui';g.fillStyle='#fff';g.fillRect(0,0,width,y+4);
g.fillStyle='#666';const step=Math.pow(10,Math.floor(Math.log10((to-from)/4)));
for(let t=Math.ceil(from/step)*step;t<to;t+=step){g.fillText((t/1000).toFixed(3).replace(/0+$/,'').replace(/\.$/,'')+' s',x(t)+2,12);g.fillRect(x(t),14,1,y)}
for(const r of rows){for(const b of r.bars){const a=Math.max(label,x(b.from)),e=x(b.to);if(e<label||a>width)continue;
g.fillStyle=color[b.kind];const tall=b.kind=='up'?r.lanes*laneHeight:laneHeight-1;
g.fillRect(a,r.y+b.lane*laneHeight,Math.max(1.5,e-a),tall)}
g.fillStyle='#fff';g.fillRect(0,r.y,label-2,r.lanes*laneHeight);g.fillStyle='#222';g.fillText(r.name,4,r.y+9)}}
function at(ev){const box=c.getBoundingClientRect(),px=ev.clientX-box.left,py=ev.clientY-box.top;let hit='';
for(const r of rows)if(py>=r.y&&py<r.y+r.lanes*laneHeight)for(const b of r.bars)
if(px>=x(b.from)-2&&px<=x(b.to)+2&&(b.kind=='up'||py>=r.y+b.lane*laneHeight&&py<r.y+(b.lane+1)*laneHeight))hit=r.name+': '+b.text+' ('+b.from+' to '+b.to+' ms)';
text.textContent=hit||'\u00a0'}
c.onwheel=ev=>{ev.preventDefault();const px=ev.clientX-c.getBoundingClientRect().left,t=from+(px-label)/(width-label)*(to-from),f=ev.deltaY>0?1.25:0.8;
from=Math.max(0,t-(t-from)*f);to=Math.min(end,t+(to-t)*f);draw()};
let drag=null;c.onmousedown=ev=>drag=ev.clientX;onmouseup=()=>drag=null;
c.onmousemove=ev=>{if(drag===null){at(ev);return}let d=(drag-ev.clientX)/(width-label)*(to-from);drag=ev.clientX;
d=Math.max(-from,Math.min(end-to,d));from+=d;to+=d;draw()};
onresize=draw;draw();`
