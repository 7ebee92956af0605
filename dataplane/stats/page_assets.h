// Style and script of the stats page, served inside it: one document, nothing fetched from elsewhere.
#pragma once

#include <string_view>

namespace ringway::dp {

inline constexpr std::string_view kPageStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--dim:#5f6b7a;--line:#dfe4ea;--good:#14783c;
--warn:#8a5a00;--bad:#b3261e;--goodbg:#dff3e5;--warnbg:#fdf0d5;--badbg:#fbe3e1}
@media (prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e4e9f0;--dim:#98a4b3;--line:#2c3542;
--good:#74d196;--warn:#f0c063;--bad:#ff9d94;--goodbg:#17351f;--warnbg:#3a2d10;--badbg:#42201d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:13px/1.45 system-ui,sans-serif}
header,main,footer{max-width:1800px;margin:0 auto;padding:12px 16px}
h1{font-size:20px;margin:0;display:inline-block}
h2{font-size:16px;margin:0 0 8px;overflow-wrap:anywhere}
h2 small,.dim{color:var(--dim);font-weight:normal}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;margin:0 0 14px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:3px;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--dim);font-weight:600;font-size:11px;white-space:normal;vertical-align:bottom}
th:first-child,td:first-child,.text{text-align:left}
td.reason{white-space:normal;min-width:12em;max-width:26em;text-align:left;color:var(--dim);font-size:12px}
tr.out td{background:var(--badbg)}tr.fading td{background:var(--warnbg)}
td.reason span{white-space:nowrap}
tr.out td.reason,tr.fading td.reason{color:inherit}
header p{margin:8px 0 0}
.alarm{color:var(--bad);background:var(--badbg);border:1px solid var(--bad);border-radius:8px;padding:8px 12px}
.facts{display:flex;flex-wrap:wrap;gap:6px 26px;margin:0 0 10px}
.facts div span{display:block;color:var(--dim);font-size:12px}
.facts div b{font-variant-numeric:tabular-nums;font-weight:600}
.state{display:inline-block;padding:0 8px;border-radius:9px;font-size:12px;font-weight:600}
.good{color:var(--good);background:var(--goodbg)}.warn{color:var(--warn);background:var(--warnbg)}
.bad{color:var(--bad);background:var(--badbg)}
#lost{display:none}body.lost #lost{display:block}
a{color:inherit}
)css";

// Each number on the page names its place in /stats.json (data-k) and its form (data-f). When rows have come or gone (the
// layout differs) the page's main part is fetched anew.
inline constexpr std::string_view kPageScript = R"js(
const forms={
n:v=>Math.round(v).toString().replace(/\B(?=(\d{3})+$)/g,'\u202f'),
b:v=>{const u=['B','KiB','MiB','GiB','TiB','PiB'];let i=0;while(v>=1024&&i<5){v/=1024;i++}return (i?v.toFixed(1):Math.round(v))+' '+u[i]},
m:v=>v.toFixed(v<10?2:v<100?1:0)+' ms',
d:v=>{let s=Math.floor(v/1000);const d=Math.floor(s/86400),h=Math.floor(s/3600)%24,m=Math.floor(s/60)%60;s%=60;
return d?d+' d '+h+' h':h?h+' h '+m+' min':m?m+' min '+s+' s':s+' s'},
t:v=>v};
// location.origin: a page opened as http://user:password@host must not pass the credentials on to fetch, which refuses them.
const at=(o,path)=>path.split('/').reduce((x,k)=>x==null?x:x[k],o);
let layout=document.querySelector('main').dataset.layout;
async function refresh(){
 try{
  const r=await fetch(location.origin+'/stats.json',{cache:'no-store'});
  if(!r.ok)throw r.status;
  const s=await r.json();
  if(s.layout!==layout){
   const p=await fetch(location.origin+location.pathname,{cache:'no-store'});
   if(!p.ok)throw p.status;
   const d=new DOMParser().parseFromString(await p.text(),'text/html');
   document.querySelector('main').replaceWith(d.querySelector('main'));
   document.querySelector('header').replaceWith(d.querySelector('header'));
   layout=document.querySelector('main').dataset.layout;
  }
  for(const e of document.querySelectorAll('[data-k]')){
   const v=at(s,e.dataset.k);
   if(v!=null){const t=forms[e.dataset.f](v);if(e.textContent!==t)e.textContent=t}
  }
  document.body.classList.remove('lost');
 }catch(e){document.body.classList.add('lost')}
 setTimeout(refresh,1000);
}
setTimeout(refresh,1000);
)js";

}  // namespace ringway::dp
