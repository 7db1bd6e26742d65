'use strict';
const color={up:'#d7ead7',lead:'#5b8def',fault:'#f0b455',done:'#7bb77b',refused:'#b9d3b9',failed:'#ccc',unknown:'#e7c6e7',wrong:'#d22'};
const c=document.getElementById('c'),g=c.getContext('2d'),text=document.getElementById('text');
const narrow=window.innerWidth<600,label=narrow?84:130,laneHeight=narrow?11:9,gap=6,maxShown=3000;
let from=0,to=end,y=20,width=0;
for(const r of rows){
  r.lanes=1;
  for(const b of r.bars||[])r.lanes=Math.max(r.lanes,b.lane+1);
  r.y=y;y+=r.lanes*laneHeight+gap;
}
function x(t){return label+(t-from)/(to-from)*(width-label)}
function rule(){ // the scale of time
  g.fillStyle='#666';
  const room=(to-from)/Math.max(2,width/110),ten=Math.pow(10,Math.floor(Math.log10(room))),step=ten*(room/ten>5?10:room/ten>2?5:2);
  for(let t=Math.ceil(from/step)*step;t<to;t+=step){
    g.fillText((t/1000).toFixed(4).replace(/\.?0+$/,'')+' s',x(t)+2,12);
    g.globalAlpha=.25;g.fillRect(x(t),14,1,y);g.globalAlpha=1;
  }
}
function mail(){ // messages, when few enough are in view
  const shown=letters.filter(l=>l[0]>=from&&l[0]<=to);
  if(shown.length>maxShown)return;
  for(const [t,a,b,fate] of shown){
    const down=b>a,top=r=>rows[r].y,low=r=>rows[r].y+rows[r].lanes*laneHeight;
    g.strokeStyle=fate===0?'#0006':'#d22';
    g.beginPath();g.moveTo(x(t)-(fate===0?Math.min(6,(width-label)/(to-from)):0),down?low(a):top(a));g.lineTo(x(t),down?top(b):low(b));g.stroke();
  }
}
function draw(){
  width=c.clientWidth;c.width=width*devicePixelRatio;c.height=(y+4)*devicePixelRatio;c.style.height=(y+4)+'px';
  g.scale(devicePixelRatio,devicePixelRatio);g.font='11px system-ui';g.fillStyle='#fff';g.fillRect(0,0,width,y+4);
  rule();
  for(const r of rows)for(const b of r.bars||[]){
    const a=Math.max(label,x(b.from)),e=Math.min(width,x(b.to));
    if(e<label||a>width)continue;
    g.fillStyle=color[b.kind];
    g.fillRect(a,r.y+b.lane*laneHeight,Math.max(1.5,e-a),b.kind==='up'?r.lanes*laneHeight:laneHeight-1);
    if(b.took&&x(b.took)>=label){g.fillStyle='#000';g.fillRect(x(b.took),r.y+b.lane*laneHeight,1.5,laneHeight-1)}
  }
  mail();
  for(const r of rows){
    g.fillStyle='#fff';g.fillRect(0,r.y-gap/2,label-2,r.lanes*laneHeight+gap);
    g.fillStyle='#222';g.fillText(r.name,4,r.y+9,label-8);
  }
}
function read(px,py){
  let hit='';
  for(const r of rows){
    if(py<r.y||py>r.y+r.lanes*laneHeight)continue;
    for(const b of r.bars||[])
      if(px>=x(b.from)-3&&px<=x(b.to)+3&&(b.kind==='up'||py>=r.y+b.lane*laneHeight&&py<r.y+(b.lane+1)*laneHeight))
        hit=r.name+': '+b.text+' ('+b.from+' to '+b.to+' ms)';
  }
  text.textContent=hit||'\u00a0';
}
function zoom(px,f){
  const t=from+(px-label)/(width-label)*(to-from);
  const a=Math.max(0,t-(t-from)*f),b=Math.min(end,t+(to-t)*f);
  if(b-a>.01){from=a;to=b;draw()}
}
function move(d){d=Math.max(-from,Math.min(end-to,d));from+=d;to+=d;draw()}
const fingers=new Map();
const at=ev=>{const box=c.getBoundingClientRect();return [ev.clientX-box.left,ev.clientY-box.top]};
const spread=()=>{const [a,b]=[...fingers.values()];return Math.abs(a[0]-b[0])+1};
c.addEventListener('wheel',ev=>{ev.preventDefault();zoom(at(ev)[0],ev.deltaY>0?1.25:0.8)},{passive:false});
c.addEventListener('pointerdown',ev=>{fingers.set(ev.pointerId,at(ev));c.setPointerCapture(ev.pointerId);read(...at(ev))});
c.addEventListener('pointermove',ev=>{
  const [px,py]=at(ev),was=fingers.get(ev.pointerId);
  if(!was){read(px,py);return}
  if(fingers.size===2){
    const before=spread();fingers.set(ev.pointerId,[px,py]);
    zoom(([...fingers.values()][0][0]+[...fingers.values()][1][0])/2,before/spread());return;
  }
  fingers.set(ev.pointerId,[px,py]);
  move((was[0]-px)/(width-label)*(to-from));
});
for(const over of ['pointerup','pointercancel'])c.addEventListener(over,ev=>fingers.delete(ev.pointerId));
document.getElementById('in').onclick=()=>zoom((label+width)/2,0.5);
document.getElementById('out').onclick=()=>zoom((label+width)/2,2);
document.getElementById('all').onclick=()=>{from=0;to=end;draw()};
const porcupine=document.getElementById('porcupine');
if(porcupine)porcupine.addEventListener('toggle',()=>{const f=porcupine.querySelector('iframe');if(porcupine.open&&!f.srcdoc)f.srcdoc=view});
window.addEventListener('resize',draw);
draw();
